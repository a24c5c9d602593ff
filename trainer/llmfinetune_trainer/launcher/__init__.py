"""The pod's first process and torchrun's agent below it: signals, exit codes, termination message."""
