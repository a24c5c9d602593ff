"""The fault suite: what is injected, what must hold, and the table that comes out."""
