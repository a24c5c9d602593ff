"""Loss and gradients of one micro-batch: what takes all of the time, and is replaceable."""

from typing import Any, Protocol

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn import functional

from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.dropout import documents_of, take_over_dropouts
from llmfinetune_trainer.engine.loss import cross_entropy_sum
from llmfinetune_trainer.engine.proof import PROVEN, Proof, inputs_of
from llmfinetune_trainer.model.load import head_of
from llmfinetune_trainer.model.lora import Adapters
from llmfinetune_trainer.model.recomputed import recompute_layers


class GradientComputer(Protocol):
    """Computes micro-batches; their gradients add up in `Adapters.gradient`."""

    def forward_backward(self, batch: MicroBatch, *, scale: float, dropout_seed: int) -> float:
        """Adds the gradient of `scale` times the loss to the adapters' flat gradient.

        Dropout follows from `dropout_seed`, which is the step's, and the documents: not from what else is
        in the micro-batch.

        Returns:
            The unscaled loss, summed over the supervised positions, in nats.
        """

    def loss_sum(self, batch: MicroBatch) -> float:
        """The loss without a gradient and without dropout, summed over the supervised positions."""


class GeneralGradients:
    """The path for every architecture: transformers' forward, peft's layers, autograd's backward.

    Args:
        model: the frozen model with its adapters.
        adapters: the adapters' flat state.
        proof: what holds of the architecture; micro-batches hold one document where they cannot be shared.
        recompute: whether layers are computed again in the backward pass instead of kept.
    """

    def __init__(
        self, model: PeftModel, adapters: Adapters, *, proof: Proof = PROVEN, recompute: bool = False
    ) -> None:
        self._causal = model.get_base_model()
        self._decoder = self._causal.base_model
        self._head = head_of(self._causal) if proof.head else None
        self._packs = proof.packs
        if recompute:
            recompute_layers(self._causal)
        self._adapters = adapters
        self._device = adapters.master.device
        self._dropouts = take_over_dropouts(model)

    def forward_backward(self, batch: MicroBatch, *, scale: float, dropout_seed: int) -> float:
        """See `GradientComputer`."""
        loss = self.loss(batch, dropout_seed=dropout_seed)
        if loss.requires_grad:
            (loss * scale).backward()  # type: ignore[no-untyped-call]
            self._adapters.collect_gradients()
        return float(loss.detach())

    @torch.no_grad()
    def loss_sum(self, batch: MicroBatch) -> float:
        """See `GradientComputer`."""
        return float(self.loss(batch))

    def loss(self, batch: MicroBatch, *, dropout_seed: int | None = None) -> Tensor:
        """The loss with its graph, summed over the supervised positions; no dropout without a seed."""
        batch = placed(batch, self._device)
        if self._head is not None:
            hidden = self.hidden(batch, dropout_seed=dropout_seed)
            return cross_entropy_sum(hidden[batch.rows], self._head, batch.targets)
        logits = self._output(self._causal, batch, dropout_seed).logits[0, batch.rows]
        return functional.cross_entropy(logits.float(), batch.targets, reduction="sum")

    def hidden(self, batch: MicroBatch, *, dropout_seed: int | None = None) -> Tensor:
        """Last hidden states of a micro-batch, [tokens, hidden]; without a seed there is no dropout."""
        states: Tensor = self._output(self._decoder, batch, dropout_seed).last_hidden_state[0]
        return states

    def _output(self, model: Any, batch: MicroBatch, dropout_seed: int | None) -> Any:
        documents = [] if dropout_seed is None else documents_of(batch)
        for dropout in self._dropouts:
            dropout.begin(documents, seed=dropout_seed or 0)
        return model(**inputs_of(batch, packs=self._packs))


def placed(batch: MicroBatch, device: torch.device) -> MicroBatch:
    """The micro-batch on the device that computes: the one place where anything moves there."""
    return batch._replace(
        input_ids=batch.input_ids.to(device),
        position_ids=batch.position_ids.to(device),
        rows=batch.rows.to(device),
        targets=batch.targets.to(device),
    )
