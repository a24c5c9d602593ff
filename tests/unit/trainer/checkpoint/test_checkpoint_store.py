"""Checkpoints are whole or not used."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llmfinetune_trainer.checkpoint.store import Checkpoint, CheckpointStore, read_checkpoint
from llmfinetune_trainer.checkpoint.writer import CheckpointWriter

from ..engine.tiny import now

pytestmark = pytest.mark.timeout(300)  # importing torch takes long on a busy machine


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(
        step=step, tensors={"adapter": {"a": torch.full((4,), float(step))}}, state={"cursor": step}
    )


def truncate(path: Path) -> None:
    file = path / "adapter.safetensors"
    file.write_bytes(file.read_bytes()[:-3])


def flip_a_bit(path: Path) -> None:
    file = path / "adapter.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def without_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def without_tensors(path: Path) -> None:
    (path / "adapter.safetensors").unlink()


def with_empty_manifest(path: Path) -> None:
    (path / "manifest.json").write_text("")


def with_manifest_of_nothing(path: Path) -> None:
    (path / "manifest.json").write_text(json.dumps({"sha256": {}}))


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    facts = store.save(checkpoint(7), now=now())
    path = store.newest()
    assert path is not None
    read = read_checkpoint(path)
    assert (read.step, read.state["cursor"]) == (7, 7)
    assert torch.equal(read.tensors["adapter"]["a"], torch.full((4,), 7.0))
    assert facts.model_dump() == {
        "step": 7,
        "time": "2026-01-02T03:04:05Z",
        "path": f"{tmp_path.name}/step-00000007",
        "size_bytes": sum(file.stat().st_size for file in path.iterdir()),
        "verified": True,
        "resumable": True,
    }


@pytest.mark.parametrize(
    "damage",
    [truncate, flip_a_bit, without_manifest, without_tensors, with_empty_manifest, with_manifest_of_nothing],
)
def test_a_torn_checkpoint_falls_back_to_the_one_before(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step in (5, 10):
        store.save(checkpoint(step), now=now())
    damage(tmp_path / "step-00000010")
    newest = store.newest()
    assert newest is not None
    assert newest.name == "step-00000005"


def test_a_torn_checkpoint_is_replaced_when_its_step_comes_again(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    store.save(checkpoint(5), now=now())
    truncate(tmp_path / "step-00000005")
    assert store.save(checkpoint(5), now=now()).verified


def test_the_last_k_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    for step in range(1, 7):
        store.save(checkpoint(step), now=now())
    assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["4", "5", "6"]


def test_what_a_killed_writer_left_is_never_read(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    store.save(checkpoint(5), now=now())
    (tmp_path / "step-00000005").rename(tmp_path / ".incomplete-step-00000005-1")
    assert store.newest() is None


def test_nothing_saved_is_nothing_to_resume(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "absent", keep=2).newest() is None


def test_a_failed_background_write_surfaces_at_the_next(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = CheckpointStore(tmp_path / "file", keep=1)
    writer = CheckpointWriter(store, clock=now, on_saved=lambda facts: None)
    writer.save_soon(checkpoint(1))
    with pytest.raises(OSError, match="file"):
        writer.close()
