"""What holds of an architecture on the general path, proved on a few of its layers with made-up weights.

No flag of transformers tells whether documents of one sequence are computed apart: a convolution, a recurrent
state or a mask of the model's own joins them behind the attention that we replace. So it is tried, and what
does not hold is not relied on.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.loss import logits_of
from llmfinetune_trainer.errors import user_error
from llmfinetune_trainer.model import attention
from llmfinetune_trainer.model.load import head_of
from llmfinetune_trainer.model.recomputed import layers_of
from llmfinetune_trainer.model.reduced import SMALL_VOCABULARY, every_kind

LENGTHS: Final = (6, 5)
"""Tokens of the documents that are tried."""
TOLERANCE: Final = 1e-3
"""Of the largest number: far above rounding in 32 bits, far below what another computation makes."""


class Proof(NamedTuple):
    """What the general path may rely on."""

    obstacle: str = ""
    """Why documents cannot share a sequence; empty where they can."""
    head: bool = True
    """Whether the output layer alone makes logits of the last hidden states."""
    can_recompute: bool = False
    """Whether layers can be computed again in the backward pass."""

    @property
    def packs(self) -> bool:
        """Whether documents may share a sequence."""
        return not self.obstacle

    @property
    def why(self) -> str:
        """Why documents are computed one by one, in words; empty where they need not be."""
        return f"one sample at a time, because {self.obstacle}" if self.obstacle else ""

    @property
    def attention(self) -> str | None:
        """Name of the attention in transformers' registry; `None` leaves the model's own."""
        return attention.NAME if self.packs else None


PROVEN: Final = Proof()
"""Of an architecture for which all of it holds."""


@lru_cache(maxsize=1)  # preparation and estimate, or estimate and training, ask for the same model
def prove(skeleton: Any) -> Proof:
    """Tries a few layers that have every kind of module of the whole model.

    Args:
        skeleton: the whole model without weights (on torch's meta device).

    Raises:
        RunError: transformers cannot compute even one document by itself, or no gradient of it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            model = every_kind(skeleton)
        except Exception as error:  # configurations differ, and what cannot be cut is not refused for it
            return Proof(f"a few layers of it cannot be made to try it ({_first_line(error)})", head=False)
        return _proved(model)


def inputs_of(batch: MicroBatch, *, packs: bool) -> dict[str, Any]:
    """What a model is called with: one document, or several whose places the attention needs."""
    alone = {"input_ids": batch.input_ids, "use_cache": False}
    shared = {"position_ids": batch.position_ids, "document_groups": batch.document_groups}
    return {**alone, **shared} if packs else alone


def _proved(model: Any) -> Proof:
    documents = [torch.randint(1, SMALL_VOCABULARY, (1, length)) for length in LENGTHS]
    try:
        alone = [_alone(model, document) for document in documents]
    except Exception as error:  # an architecture's own code may fail in any way
        raise user_error(
            "ArchitectureNotSupported",
            f"transformers does not train {type(model).__name__}: {_first_line(error)}",
            hint="choose another model; spec.model.source may name any decoder that transformers can train",
        ) from error
    proof = Proof(head=_head_is_all(model, documents[0], alone[0]), can_recompute=bool(layers_of(model)))
    return proof._replace(obstacle=_obstacle(model, documents, torch.cat(alone), head=proof.head))


def _alone(model: Any, document: Tensor) -> Tensor:
    """A document's own logits, [tokens, vocabulary]; fails where no gradient comes of them."""
    logits, gradient = _traced(model, lambda: model(input_ids=document, use_cache=False).logits[0])
    if not (gradient.isfinite().all() and gradient.any()):
        raise ValueError("its logits have no gradient")
    return logits


def _head_is_all(model: Any, document: Tensor, logits: Tensor) -> bool:
    try:
        states = model.base_model(input_ids=document, use_cache=False).last_hidden_state[0]
        return _agree(logits_of(states, head_of(model)), logits)
    except (AttributeError, TypeError, RuntimeError):  # other names, other shapes: the model's own logits do
        return False


def _obstacle(model: Any, documents: list[Tensor], alone: Tensor, *, head: bool) -> str:
    """Why the documents cannot share a sequence; empty where they can."""
    if not type(model)._can_set_attn_implementation():
        return "its attention cannot be replaced"
    model.set_attn_implementation(attention.NAME)
    first = documents[0].shape[1]
    try:
        packed, gradient = _traced(
            model, lambda: _logits(model, documents, head=head), rows=slice(first, None)
        )
        moved = _logits(model, [documents[0].flip(1), documents[1]], head=head)
    except Exception as error:  # an architecture's own code may fail in any way
        return f"its layers do not take documents of one sequence ({_first_line(error)})"
    if gradient[:, :first].any() or not _agree(moved[first:], packed[first:]):
        return "its layers carry one document on into the next"
    return "" if _agree(packed, alone) else "it computes documents of one sequence otherwise than each alone"


def _logits(model: Any, documents: list[Tensor], *, head: bool) -> Tensor:
    """Of documents that share a sequence, [tokens, vocabulary]."""
    lengths = [document.shape[1] for document in documents]
    inputs = {
        "input_ids": torch.cat(documents, dim=1),
        "position_ids": torch.cat([torch.arange(length) for length in lengths]).unsqueeze(0),
        "document_groups": tuple((1, length) for length in lengths),
        "use_cache": False,
    }
    if head:
        return logits_of(model.base_model(**inputs).last_hidden_state[0], head_of(model))
    logits: Tensor = model(**inputs).logits[0]
    return logits


def _traced(model: Any, compute: Callable[[], Tensor], *, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
    """What is computed, and the gradient of some of its rows with respect to the embedded tokens."""
    leaves: list[Tensor] = []

    def begin_here(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    hook = model.get_input_embeddings().register_forward_hook(begin_here)
    try:
        computed = compute()
    finally:
        hook.remove()
    # random weights: normalisation makes a plain sum constant
    total = (computed[rows] * torch.randn(computed[rows].shape)).sum()
    return computed.detach(), torch.autograd.grad(total, leaves[0])[0]


def _agree(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max())


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:120]
