"""Names of target modules resolve to layers of the model, or are all listed with near matches."""

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoConfig

from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.model.targets import resolve_targets

SMALL = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
FIRST_THING = "import sys; from llmfinetune_trainer.model.targets import model_skeleton; \
model_skeleton(__import__('pathlib').Path(sys.argv[1]))"
LINEAR = [
    f"model.layers.{layer}.{name}"
    for layer in range(2)
    for name in ("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj", "mlp.down_proj")
]
OTHERS = {"model.embed_tokens": "Embedding", "model.layers.0.mlp": "LlamaMLP", "lm_head": "the output layer"}


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        pytest.param(["q_proj"], [LINEAR[0], LINEAR[4]], id="last name, in every layer"),
        pytest.param(["mlp.up_proj"], [LINEAR[2], LINEAR[6]], id="end of the full name"),
        pytest.param([LINEAR[3]], [LINEAR[3]], id="full name"),
        pytest.param(["layers.1.*.q_proj"], [LINEAR[4]], id="pattern over parts"),
        pytest.param(["*_proj"], LINEAR, id="pattern for the last name"),
        pytest.param(["all-linear"], LINEAR, id="all of them"),
        pytest.param(["v_proj", "q_proj", "q_proj"], [LINEAR[0], LINEAR[1], LINEAR[4], LINEAR[5]], id="once"),
    ],
)
def test_resolved(targets: list[str], expected: list[str]) -> None:
    assert resolve_targets(LINEAR, targets, others=OTHERS) == expected


def test_a_part_of_a_name_is_no_match() -> None:
    with pytest.raises(RunError):
        resolve_targets(LINEAR, ["proj"], others=OTHERS)


def test_every_unmatched_name_is_listed_with_what_is_near() -> None:
    targets = ["q_proj", "v_porj", "c_attn", "embed_tokens", "lm_head", "mlp"]
    with pytest.raises(RunError) as raised:
        resolve_targets(LINEAR, targets, others=OTHERS)
    lines = str(raised.value).split("\n")
    assert lines[1].startswith("  - v_porj; did you mean v_proj")
    assert lines[2] == "  - c_attn"
    assert lines[3] == "  - embed_tokens: is there, as Embedding"
    assert lines[4] == "  - lm_head: is there, as the output layer"
    assert lines[5] == "  - mlp: is there, as LlamaMLP"
    assert (
        lines[6]
        == "linear layers of this model are down_proj, q_proj, up_proj, v_proj; all-linear takes all of them"
    )


@pytest.mark.parametrize("architecture", ["qwen2", "gpt2"])
def test_a_skeleton_is_made_by_a_process_that_has_imported_no_model_before(
    tmp_path: Path, architecture: str
) -> None:
    shape = {} if architecture == "gpt2" else SMALL
    AutoConfig.for_model(architecture, **shape).save_pretrained(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", FIRST_THING, tmp_path], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
