"""The trainer beside what a user could pick instead: one run, alternating, the same work."""
