"""Data: rows of a file become examples, text, tokens and packs; prepared once, memory-mapped, addressed by a
cursor."""
