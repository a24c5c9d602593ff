"""The contract between operator and trainer: torch-free, typed, frozen.

`run` is what a fine-tune computes, `messages` what the trainer tells, `layout` where things lie, `exit_codes`
how commands end, `source` where models and data come from.
"""
