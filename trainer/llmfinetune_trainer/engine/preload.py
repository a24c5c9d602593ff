"""Imports everything that a training process needs, so that those that are forked from here have it.

Nothing may start a thread or compute: what is forked would not have its threads.
"""

from llmfinetune_trainer.imports import without_collection

# What was imported is frozen: objects that are never looked at stay in memory that forked processes share.
with without_collection():
    import torch.distributed
    import torch.utils.tensorboard
    from transformers.models.llama import modeling_llama

    from llmfinetune_trainer.engine import session

__all__ = ["modeling_llama", "session", "torch"]
