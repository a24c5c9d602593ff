"""Which models take the fast path."""

from typing import Any

import pytest
from transformers import AutoConfig

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.fused import supports
from llmfinetune_trainer.engine.fused.flops import work_of
from tests.unit.trainer.fused import builders


@pytest.mark.parametrize("family", builders.FAMILIES)
def test_every_family_that_is_tested_is_taken(family: str) -> None:
    config = AutoConfig.for_model(**{**builders.SHAPE, **builders.FAMILIES[family]})
    assert supports(config, LoraConfig(target_modules=["all-linear"])) is None


@pytest.mark.parametrize(
    "target",
    [
        "q_proj",
        "self_attn.q_proj",
        "mlp.down_proj",
        "*_proj",
        "layers.1.*.v_proj",
        "model.layers.0.self_attn.o_proj",
    ],
)
def test_a_target_may_be_spelled_in_any_way(target: str) -> None:
    config = AutoConfig.for_model(**{**builders.SHAPE, **builders.FAMILIES["llama"]})
    assert supports(config, LoraConfig(target_modules=["v_proj", target])) is None


@pytest.mark.parametrize(
    ("config", "targets", "reason"),
    [
        pytest.param({"model_type": "gpt2"}, ["c_attn"], "model type gpt2", id="another family"),
        pytest.param({"model_type": "llama"}, ["lm_head"], "adapters on lm_head", id="adapter on the head"),
        pytest.param(
            {"model_type": "llama", "hidden_act": "gelu"}, ["q_proj"], "activation gelu", id="another gate"
        ),
        pytest.param({"model_type": "mistral"}, ["q_proj"], "sliding window of 4096", id="a window"),
        pytest.param(
            {"model_type": "llama", "attention_dropout": 0.1},
            ["q_proj"],
            "dropout in attention",
            id="dropout",
        ),
        pytest.param(
            {
                "model_type": "llama",
                "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
            },
            ["q_proj"],
            "rotary embedding of kind dynamic",
            id="angles that depend on the sequence",
        ),
    ],
)
def test_the_reason_is_told(config: dict[str, Any], targets: list[str], reason: str) -> None:
    told = supports(AutoConfig.for_model(**config), LoraConfig(target_modules=targets))
    assert told is not None
    assert reason in told


def test_a_window_that_no_document_fills_does_not_matter() -> None:
    config = AutoConfig.for_model("mistral")
    assert supports(config, LoraConfig(), max_length=4096) is None
    assert supports(config, LoraConfig(), max_length=4097) is not None


def test_work_is_counted_from_lengths_and_supervised_positions() -> None:
    config = AutoConfig.for_model(
        "llama", vocab_size=10, hidden_size=4, intermediate_size=6, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1,
    )  # fmt: skip
    work = work_of([3, 5], num_supervised=7, config=config, adapter_weights=11)
    layer = 4 * 4 + 2 * 4 * 2 + 4 * 4 + 3 * 4 * 6
    assert work == (4 * 2 * layer * 8, 4 * 10 * 4 * 7, 6 * 11 * 8, 6 * 4 * 2 * (9 + 25))
    assert work.total == sum(work)
