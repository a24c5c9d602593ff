"""Data: rows of a file become examples, text, tokens and packs; prepared once, mapped, found by a cursor."""
