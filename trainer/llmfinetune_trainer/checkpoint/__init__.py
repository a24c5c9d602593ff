"""Checkpoints: everything that training resumes from, written atomically and verified when read."""
