"""Merged weights: what base and adapter compute together, in one plain model."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from llmfinetune_trainer.cli import main
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.export import files_digest
from llmfinetune_trainer.merge import LINEAGE, check_merge, merge

from .tiny import ARCHITECTURES, adapted, base_model

IDS = torch.arange(20).unsqueeze(0)
LINEAGE_OF_TESTS = {"base": {"name": "tiny"}}


class Pair(NamedTuple):
    """A base on disk and an adapter of it."""

    base: Path
    weights: dict[str, Tensor]
    config: PeftLoraConfig

    def merge(self, target: Path) -> str:
        merge(self.base, target, adapter=self.weights, peft_config=self.config, lineage=LINEAGE_OF_TESTS)
        return files_digest(target)

    def save(self, directory: Path) -> Path:
        self.config.save_pretrained(str(directory))
        save_file(self.weights, directory / "adapter_model.safetensors")
        (directory / LINEAGE).write_text(json.dumps(LINEAGE_OF_TESTS))
        return directory


def make_pair(
    directory: Path, architecture: str = "llama", *, noise: float = 0.3, dtype: torch.dtype = torch.float32
) -> Pair:
    base_model(architecture).to(dtype).save_pretrained(directory)
    (directory / "tokenizer.json").write_text("{}")
    model, adapters, _ = adapted(architecture, noise=noise)
    return Pair(directory, adapters.state(), model.peft_config["default"])


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.eval()(input_ids=IDS, use_cache=False).logits
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_merged_logits_are_those_of_base_and_adapter(architecture: str, tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "base", architecture)
    pair.merge(tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    before = logits(plain)
    together = logits(PeftModel.from_pretrained(plain, str(pair.save(tmp_path / "adapter"))))
    merged = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "merged"))
    torch.testing.assert_close(merged, together, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(before, together, atol=1e-3)


def test_sixteen_bit_weights_are_rounded_once(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "base", dtype=torch.bfloat16)
    pair.merge(tmp_path / "merged")
    name = "model.layers.1.mlp.down_proj"
    base, merged = (load_file(tmp_path / each / "model.safetensors") for each in ("base", "merged"))
    prefix = f"base_model.model.{name}"
    update = pair.weights[f"{prefix}.lora_B.weight"] @ pair.weights[f"{prefix}.lora_A.weight"] * 8.0
    expected = (base[f"{name}.weight"].float() + update).bfloat16()
    assert torch.equal(merged[f"{name}.weight"], expected)
    changed = {each for each in base if not torch.equal(base[each], merged[each])}
    assert changed == {
        f"model.layers.{layer}.{each}.weight"
        for layer in (0, 1)
        for each in ("self_attn.q_proj", "mlp.down_proj")
    }


def test_a_fresh_adapter_merges_to_the_base_itself(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "base", noise=0.0, dtype=torch.bfloat16)
    pair.merge(tmp_path / "merged")
    name = "model.safetensors"
    assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "base" / name).read_bytes()


def test_merging_again_changes_nothing_and_leaves_the_base_as_it_was(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "base")
    before = files_digest(tmp_path / "base")
    first = pair.merge(tmp_path / "merged")
    assert pair.merge(tmp_path / "merged") == first
    assert pair.merge(tmp_path / "elsewhere") == first
    assert files_digest(tmp_path / "base") == before
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert names >= {"config.json", "generation_config.json", "tokenizer.json", LINEAGE}


def test_files_that_leave_out_the_decoders_name_are_understood(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "base", "gpt2")
    file = tmp_path / "base" / "model.safetensors"
    renamed = {name.removeprefix("transformer."): tensor for name, tensor in load_file(file).items()}
    save_file(renamed, file, metadata={"format": "pt"})
    pair.merge(tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    assert not torch.equal(merged["h.0.attn.c_attn.weight"], renamed["h.0.attn.c_attn.weight"])


def test_files_without_the_adapted_layers_are_refused_before_any_work(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "base")
    file = tmp_path / "base" / "model.safetensors"
    save_file({"other": torch.zeros(1)}, file)
    with pytest.raises(RunError, match=r"hold no weight model.layers.0.mlp.down_proj.weight"):
        check_merge(pair.base, tmp_path / "merged", adapter=pair.weights)
    assert not (tmp_path / "merged").exists()


def test_a_full_volume_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = make_pair(tmp_path / "base")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(RunError, match=r"needs .* bytes, 1 are free"):
        check_merge(pair.base, tmp_path / "output" / "merged", adapter=pair.weights)


def test_what_is_replaced_makes_room_where_there_is_none_for_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = make_pair(tmp_path / "base")
    digest = pair.merge(tmp_path / "merged")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    check_merge(pair.base, tmp_path / "merged", adapter=pair.weights)
    assert pair.merge(tmp_path / "merged") == digest


def test_the_command_writes_the_same_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = make_pair(tmp_path / "base")
    adapter, target = pair.save(tmp_path / "adapter"), tmp_path / "by-hand"
    code = main(["merge", "--model", str(pair.base), "--adapter", str(adapter), "--into", str(target)])
    assert code == 0
    assert capsys.readouterr().out.splitlines() == [str(target), pair.merge(tmp_path / "merged")]
