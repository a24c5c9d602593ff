"""One module a contestant: runs in that contestant's own environment and never needs the project's."""
