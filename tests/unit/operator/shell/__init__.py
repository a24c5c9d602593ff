"""Tests of the loops around the reconciler."""
