"""Dropout on packed documents that does not depend on how a step is computed."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from llmfinetune_trainer.engine.batches import MicroBatch


class Document(NamedTuple):
    """One document of the micro-batch that is being computed."""

    sample: int
    length: int


class DocumentDropout(torch.nn.Module):
    """Takes the place of peft's dropout: a document's mask is a function of seed, sample and layer alone.

    So it is the same on whatever rank and in whatever micro-batch the document is computed.

    Args:
        probability: of an entry to be dropped.
        name: the layer's.
    """

    def __init__(self, probability: float, *, name: str) -> None:
        super().__init__()
        self._kept = 1.0 - probability
        self._name = name
        self._seed = 0
        self._documents: Sequence[Document] = ()

    def begin(self, documents: Sequence[Document], *, seed: int) -> None:
        """What the next passes compute; no document switches dropout off."""
        self._documents, self._seed = documents, seed

    def forward(self, x: Tensor) -> Tensor:
        """x∘mask/(1-p), of [1, tokens, features]."""
        if not self._documents:
            return x
        mask = torch.cat([self._mask(x, document) for document in self._documents])
        return x * mask.div_(self._kept)

    def _mask(self, x: Tensor, document: Document) -> Tensor:
        seed = zlib.crc32(f"{self._seed}/{document.sample}/{self._name}".encode())
        generator = torch.Generator(x.device).manual_seed(seed)
        return x.new_empty(document.length, x.shape[-1]).bernoulli_(self._kept, generator=generator)


def take_over_dropouts(model: torch.nn.Module) -> list[DocumentDropout]:
    """Puts ours in the place of the adapters' dropouts; none where there is no dropout."""
    dropouts = []
    for name, module in list(model.named_modules()):
        holder, _, adapter = name.rpartition(".")
        if holder.endswith(".lora_dropout") and isinstance(module, torch.nn.Dropout):
            dropouts.append(DocumentDropout(module.p, name=holder))
            model.get_submodule(holder).add_module(adapter, dropouts[-1])
    return dropouts


def documents_of(batch: MicroBatch) -> list[Document]:
    """The documents of a micro-batch in their order."""
    lengths = [length for count, length in batch.document_groups for _ in range(count)]
    return list(map(Document, batch.samples, lengths))
