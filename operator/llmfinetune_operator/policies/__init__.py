"""The operator's rules, one a file: pure functions of a `View`, each tested as a table."""
