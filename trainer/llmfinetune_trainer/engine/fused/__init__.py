"""The fast path of the engine: hand-derived forward and backward pass of Llama-shaped decoders with LoRA.

No autograd: every tensor has a place of its own, nothing is computed that no gradient needs, and what is
not a matrix product runs in kernels that touch memory once.
"""

from llmfinetune_trainer.engine.fused.engine import FusedGradients
from llmfinetune_trainer.engine.fused.support import supports

__all__ = ["FusedGradients", "supports"]
