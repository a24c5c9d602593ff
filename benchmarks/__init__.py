"""Benchmarks: what the project's figures come from, each part one command."""
