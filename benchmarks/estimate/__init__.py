"""How close an estimate comes: `python -m benchmarks.estimate`."""
