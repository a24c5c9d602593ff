"""What a run will need, known before it computes: memory by part, operations, time, and how to split batches.

`shape` and `memory` know bytes from the model's structure alone, `speed` measures a few layers of it, `plan`
counts the work of a step from the data, `choice` fits all of it into the memory that there is.
"""
