"""Micro-benchmark of the engine's fast path."""
