"""What runs the workers. `base` says what the operator asks of it, every other module is one way to do it."""
