"""Imports everything that a training process needs, for processes that are forked from here to have it at
once.

Nothing may start a thread or compute: what is forked would not have its threads.
"""

import gc

import torch.distributed
import torch.utils.tensorboard
from transformers.models.llama import modeling_llama

from llmfinetune_trainer.engine import session

__all__ = ["modeling_llama", "session", "torch"]

# Objects that are never collected stay in memory that the forked processes share.
gc.collect()
gc.freeze()
