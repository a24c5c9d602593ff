"""Builds the project's images without Docker and moves them into the embedded cluster."""
