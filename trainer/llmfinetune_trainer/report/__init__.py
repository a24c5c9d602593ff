"""Progress: one tracker on the first rank, and sinks that carry it to the operator, the terminal and files.

No sink may slow training down or end it: what cannot be delivered is dropped with a warning.
"""
