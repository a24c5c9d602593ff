"""Small programs that the suite runs inside of pods, by their text: they import only the standard library."""
