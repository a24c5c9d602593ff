"""Adapters: no effect at the start, the base untouched, a result that means the same to plain peft."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.batches import micro_batch
from llmfinetune_trainer.engine.loop import run_steps
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.model.lora import attach_adapters, peft_config

from .tiny import FAMILIES, MemorySamples, adapted, base_model, make_training, run_config, snapshot

IDS = torch.arange(10).unsqueeze(0)


@pytest.mark.parametrize("architecture", FAMILIES)
def test_fresh_adapters_change_nothing(architecture: str) -> None:
    batch = micro_batch(MemorySamples([8, 5]), [0, 1])
    _, _, computer = adapted(architecture, noise=0.0)
    plain = base_model(architecture).base_model(
        input_ids=batch.input_ids, position_ids=batch.position_ids, document_groups=batch.document_groups
    )
    assert torch.equal(computer.hidden(batch), plain.last_hidden_state[0])


@pytest.mark.parametrize("architecture", FAMILIES)
def test_training_changes_adapters_and_leaves_the_base_as_it_was(architecture: str) -> None:
    training = make_training(run_config(epochs=1), architecture=architecture)
    model = training.computer._decoder  # type: ignore[attr-defined]
    base, adapter = snapshot(model), training.state.adapters.master.clone()
    run_steps(training)
    assert not torch.equal(training.state.adapters.master, adapter)
    assert all(torch.equal(base[name], value) for name, value in snapshot(model).items())


def test_start_depends_on_the_seed_and_not_on_what_ran_before() -> None:
    torch.manual_seed(1)
    first = attach_adapters(base_model("llama"), LoraConfig(), seed=5)[1].master
    torch.manual_seed(2)
    again = attach_adapters(base_model("llama"), LoraConfig(), seed=5)[1].master
    other = attach_adapters(base_model("llama"), LoraConfig(), seed=6)[1].master
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("architecture", FAMILIES)
def test_plain_peft_loads_the_result_and_computes_the_same(architecture: str, tmp_path: Path) -> None:
    model, adapters, computer = adapted(architecture)
    config = model.peft_config["default"]
    config.save_pretrained(str(tmp_path))
    save_file(adapters.state(), tmp_path / "adapter_model.safetensors")
    loaded = PeftModel.from_pretrained(base_model(architecture, implementation="eager"), str(tmp_path))
    ours = computer.hidden(micro_batch(MemorySamples([10]), [0]))
    ids = torch.from_numpy(MemorySamples([10]).tokens(0)).long().unsqueeze(0)
    theirs = loaded.get_base_model().base_model(input_ids=ids).last_hidden_state[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    without = base_model(architecture, implementation="eager").base_model(input_ids=ids).last_hidden_state[0]
    assert not torch.allclose(theirs, without)


def test_sixteen_bit_layers_learn_from_32_bit_masters() -> None:
    model = base_model("llama").to(torch.bfloat16)
    _, adapters = attach_adapters(model, LoraConfig(target_modules=["q_proj"]), seed=0)
    assert {p.dtype for p in adapters.parameters.values()} == {torch.bfloat16}
    before = [p.detach().clone() for p in adapters.parameters.values()]
    for _ in range(100):
        adapters.master.add_(1e-6)  # each far below what 16 bits resolve
    adapters.publish()
    pairs = zip(before, adapters.parameters.values(), strict=True)
    assert all(not torch.equal(old, new) for old, new in pairs)


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        (["q_proj"], "q_proj"),
        (["all-linear"], "model.layers.0.mlp.down_proj"),
        (["*_proj"], "model.layers.0.mlp.gate_proj"),
    ],
    ids=["a plain name stays", "all linear layers", "a pattern becomes full names"],
)
def test_targets_in_pefts_form(targets: list[str], names: str) -> None:
    config = peft_config(base_model("llama"), LoraConfig(target_modules=targets))
    assert names in config.target_modules
    assert "lm_head" not in json.dumps(sorted(config.target_modules))


def test_a_target_that_matches_nothing_is_refused() -> None:
    with pytest.raises(RunError, match="q_porj"):
        attach_adapters(base_model("llama"), LoraConfig(target_modules=["q_porj"]), seed=0)
