"""The operator as a process, against a real API server, with exactly the rights it is installed with."""
