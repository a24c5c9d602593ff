"""Every causal model computes what transformers computes of each document alone, in whichever way is proved
right for its architecture: documents in one sequence or one by one, logits of the output layer or the
model's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.batches import micro_batch
from llmfinetune_trainer.engine.gradients import GeneralGradients
from llmfinetune_trainer.engine.proof import Proof, prove
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.model import attention
from llmfinetune_trainer.model.lora import Adapters, attach_adapters
from llmfinetune_trainer.model.targets import model_skeleton

from .tiny import ARCHITECTURES, SIZES, VOCABULARY, MemorySamples

GROUPED = {**SIZES, "num_key_value_heads": 2}
GPT = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64}
LENGTHS = [12, 7, 7, 3]
APART = "carry one document on into the next"
OWN = "attention cannot be replaced"
LORA = LoraConfig(rank=2, target_modules=["all-linear"])


class Case(NamedTuple):
    """An architecture, why its documents are computed one by one, and whether its output layer is all."""

    shape: Mapping[str, Any]
    obstacle: str = ""
    head: bool = True


CASES: Mapping[str, Case] = {
    **{name: Case(shape) for name, shape in ARCHITECTURES.items()},
    "mixtral": Case({**GROUPED, "num_local_experts": 4}),
    "opt": Case({**SIZES, "ffn_dim": 24, "word_embed_proj_dim": 16, "max_position_embeddings": 64}),
    "hyperclovax": Case({**GROUPED, "logits_scaling": 3.0}, head=False),
    "modernbert-decoder": Case({**SIZES, "local_attention": 8}, head=False),
    "lfm2": Case({**GROUPED, "layer_types": ["conv", "full_attention"]}, APART),
    "gpt_oss": Case(
        {**GROUPED, "head_dim": 4, "num_local_experts": 4, "sliding_window": 5}, "attention sinks"
    ),
    "bloom": Case({"hidden_size": 16, "n_layer": 2, "n_head": 4}, OWN),
    "codegen": Case({**GPT, "n_ctx": 64, "rotary_dim": 2}, OWN),
    "falcon": Case(SIZES, OWN),
    "gpt_neo": Case(
        {"hidden_size": 16, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
         "window_size": 5, "max_position_embeddings": 64},
        OWN,
    ),
    "gptj": Case({**GPT, "rotary_dim": 4}, OWN),
    "jamba": Case(
        {**GROUPED, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2,
         "use_mamba_kernels": False, "mamba_dt_rank": 2},
        APART,
    ),
    "mamba": Case({"hidden_size": 16, "state_size": 4, "num_hidden_layers": 2}, APART),
    "mpt": Case({"d_model": 16, "n_layers": 2, "n_heads": 4, "max_seq_len": 64}, OWN),
    "stablelm": Case({**GROUPED, "max_position_embeddings": 64}, "do not take documents of one sequence"),
}  # fmt: skip


@pytest.fixture(params=CASES)
def architecture(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_what_holds_of_an_architecture_is_found_by_trying(architecture: str, tmp_path: Path) -> None:
    case, found = CASES[architecture], proof_of(architecture, tmp_path)
    assert (found.packs, found.head) == (not case.obstacle, case.head), found
    assert case.obstacle in found.obstacle


def test_loss_and_gradients_are_those_of_transformers_for_each_document_alone(
    architecture: str, tmp_path: Path
) -> None:
    proof, samples = proof_of(architecture, tmp_path), MemorySamples(LENGTHS)
    _, adapters, computer = opened(architecture, proof)
    indices = range(len(LENGTHS))
    groups: Sequence[Sequence[int]] = [indices] if proof.packs else [[index] for index in indices]
    batches = [micro_batch(samples, group) for group in groups]
    loss = sum(computer.forward_backward(batch, scale=0.1, dropout_seed=0) for batch in batches)
    expected, gradient = by_transformers(architecture, samples)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert sum(computer.loss_sum(batch) for batch in batches) == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(adapters.gradient, 0.1 * gradient, rtol=1e-3, atol=1e-6)


def test_computing_layers_again_changes_nothing(architecture: str, tmp_path: Path) -> None:
    proof, batch = proof_of(architecture, tmp_path), micro_batch(MemorySamples([9]), [0])
    found = []
    for recompute in {False, proof.can_recompute}:
        _, adapters, computer = opened(architecture, proof, recompute=recompute, dropout=0.3)
        loss = computer.forward_backward(batch, scale=0.1, dropout_seed=5)
        found.append((loss, adapters.gradient.clone()))
    for loss, gradient in found:
        assert loss == found[0][0]
        assert torch.equal(gradient, found[0][1])


@pytest.mark.parametrize("name", ["gpt2", "lfm2", "falcon", "opt"])
def test_layers_are_kept_or_computed_again(name: str, tmp_path: Path) -> None:
    assert proof_of(name, tmp_path).can_recompute


def test_what_transformers_cannot_compute_is_an_error_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.bloom.modeling_bloom import BloomModel

    def forward(*_: Any, **__: Any) -> None:
        raise RuntimeError("needs a kernel that is not there")

    monkeypatch.setattr(BloomModel, "forward", forward)
    with pytest.raises(RunError, match="does not train BloomForCausalLM: RuntimeError: needs a kernel"):
        proof_of("bloom", tmp_path)


def test_layers_that_are_joined_beyond_the_first_ones_are_tried_too(tmp_path: Path) -> None:
    shape = {**GROUPED, "num_hidden_layers": 6, "layer_types": ["full_attention"] * 4 + ["conv"] * 2}
    save("lfm2", shape, tmp_path)
    assert APART in prove(model_skeleton(tmp_path)).obstacle


def proof_of(architecture: str, directory: Path) -> Proof:
    save(architecture, CASES[architecture].shape, directory)
    return prove(model_skeleton(directory))


def save(architecture: str, shape: Mapping[str, Any], directory: Path) -> None:
    config(architecture, shape).save_pretrained(directory)


def config(architecture: str, shape: Mapping[str, Any]) -> Any:
    tokens = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    return AutoConfig.for_model(architecture, vocab_size=VOCABULARY, **{**tokens, **shape})


def opened(
    architecture: str, proof: Proof | None, *, recompute: bool = False, dropout: float = 0.0
) -> tuple[Any, Adapters, GeneralGradients]:
    """A tiny model whose adapters do something; with transformers' own attention where nothing is proved."""
    attention.register()
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_config(
        config(architecture, CASES[architecture].shape),
        attn_implementation="eager" if proof is None else proof.attention,
    )
    lora = LORA.model_copy(update={"dropout": dropout})
    model, adapters = attach_adapters(base.requires_grad_(False).eval(), lora, seed=1)
    generator = torch.Generator().manual_seed(2)
    adapters.master.add_(torch.randn(adapters.master.shape, generator=generator), alpha=0.05)
    adapters.publish()
    return (
        model,
        adapters,
        GeneralGradients(model, adapters, proof=proof or Proof(head=False), recompute=recompute),
    )


def by_transformers(architecture: str, samples: MemorySamples) -> tuple[float, Tensor]:
    """Loss and gradient of all samples, each by itself."""
    model, adapters, _ = opened(architecture, None)
    total = torch.zeros(())
    for index in range(samples.num_samples):
        ids = torch.from_numpy(samples.tokens(index)).long()
        logits = model(input_ids=ids[None], use_cache=False).logits[0]
        losses = functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
        total = total + losses[torch.from_numpy(samples.loss_mask(index)[1:])].sum()
    total.backward()  # type: ignore[no-untyped-call]
    adapters.collect_gradients()
    return float(total.detach()), adapters.gradient.clone()
