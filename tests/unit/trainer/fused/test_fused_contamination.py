"""Logits of a pack: changing one document changes no other document's, on both engines."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from llmfinetune_trainer.engine.fused import FusedGradients
from llmfinetune_trainer.engine.fused.prefix import rows_of
from tests.unit.trainer.fused import builders

LENGTHS = (33, 40, 25, 18)
PROMPT = 12


class Logits:
    """What the output layer would be given, by document; the loss of a row stands for the logits of it."""

    def __init__(self, engine: FusedGradients, *, share_prefix: bool) -> None:
        self.engine, self.share_prefix = engine, share_prefix

    def of(self, tokens: list[Tensor], *, prompt: int) -> Mapping[int, Tensor]:
        rows = rows_of(builders.packed(tokens, prompt=prompt), share_prefix=self.share_prefix)
        self.engine.compute(rows, scale=None, dropout_seed=None)
        counts = [len(document) - prompt for document in tokens]
        hidden = self.engine.space.take("hidden", sum(counts), self.engine.embedding.shape[1])
        return dict(enumerate((hidden @ self.engine.head.t()).split(counts)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["torch kernels", "chosen kernels"])
@pytest.mark.parametrize("share_prefix", [False, True], ids=["apart", "with a shared prefix"])
@pytest.mark.parametrize("family", builders.FAMILIES)
def test_changing_one_document_changes_no_other_document_s_logits(
    family: str, share_prefix: bool, dtype: torch.dtype
) -> None:
    subject = builders.subject(family, dtype=dtype, initializer_range=0.05)
    logits = Logits(FusedGradients(*subject), share_prefix=share_prefix)
    tokens = builders.documents(*LENGTHS, prefix=10 if share_prefix else 0)
    before = logits.of(tokens, prompt=PROMPT)
    tokens[1] = torch.cat((tokens[1][:PROMPT], (tokens[1][PROMPT:] + 1) % builders.VOCABULARY))
    after = logits.of(tokens, prompt=PROMPT)
    assert [index for index in before if not torch.equal(before[index], after[index])] == [1]


@pytest.mark.parametrize("family", builders.FAMILIES)
def test_logits_of_a_pack_are_those_of_each_document_in_plain_transformers(family: str) -> None:
    subject = builders.subject(family)
    tokens = builders.documents(*LENGTHS)
    logits = Logits(FusedGradients(*subject), share_prefix=False).of(tokens, prompt=1)
    plain: Any = subject.model.eval()
    for index, document in enumerate(tokens):
        with torch.no_grad():
            expected = plain(input_ids=document.unsqueeze(0), use_cache=False).logits[0, :-1]
        torch.testing.assert_close(logits[index], expected, rtol=1e-3, atol=1e-4)
