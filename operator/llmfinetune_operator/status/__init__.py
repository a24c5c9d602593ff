"""The status as users see it: built from facts, remembering what no new fact contradicts."""
