"""Checkpoints are whole or not used."""

import datetime as dt
import errno
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llmfinetune_trainer.checkpoint.store import Checkpoint, CheckpointStore, facts_of, read_checkpoint
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


def test_what_was_told_of_a_checkpoint_is_told_again_when_it_is_found(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    told = store.save(checkpoint(5), now=dt.datetime.now(dt.UTC))
    path = store.newest()
    assert path is not None
    again = facts_of(path)
    assert again.model_copy(update={"time": told.time}) == told
    written, found = (dt.datetime.fromisoformat(facts.time) for facts in (told, again))
    assert dt.timedelta() <= found - written < dt.timedelta(minutes=1)


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


def test_torn_ones_do_not_take_the_place_of_whole_ones(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step in (5, 10):
        store.save(checkpoint(step), now=now())
    truncate(tmp_path / "step-00000010")
    store.newest()
    store.save(checkpoint(7), now=now())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000005", "step-00000007"]


def test_what_reads_back_differently_is_neither_kept_nor_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    store.save(checkpoint(5), now=now())
    told: list[int] = []
    writer = CheckpointWriter(store, clock=now, on_saved=lambda facts: told.append(facts.step))
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, content: write(path, content[:-1] + b"?"))
    with pytest.raises(OSError, match="reads back differently"):
        writer.save_now(checkpoint(10))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]
    assert told == []


class FullVolume:
    """Lets so many bytes be written; then there is no space left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, room: int) -> None:
        self.room = room
        self.write = Path.write_bytes
        monkeypatch.setattr(Path, "write_bytes", lambda path, content: self.take(path, content))

    def take(self, path: Path, content: bytes) -> int:
        written = self.write(path, content[: self.room])
        self.room -= written
        if written < len(content):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return written


def test_a_volume_that_fills_up_in_the_background_is_told_at_the_next_step_and_loses_nothing_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    store.save(checkpoint(5), now=now())
    writer = CheckpointWriter(store, clock=now, on_saved=lambda facts: None)
    FullVolume(monkeypatch, room=50)
    writer.save_soon(lambda: checkpoint(10))
    writer._pool.shutdown()
    with pytest.raises(OSError, match="No space left"):
        writer.require_sound()
    newest = store.newest()
    assert newest is not None
    assert [path.name for path in tmp_path.iterdir()] == [newest.name] == ["step-00000005"]


def test_a_busy_writer_copies_nothing(tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()

    def clock() -> dt.datetime:
        began.set()
        go_on.wait(60)
        return now()

    writer = CheckpointWriter(CheckpointStore(tmp_path, keep=1), clock=clock, on_saved=lambda facts: None)
    assert writer.save_soon(lambda: checkpoint(1))
    began.wait(60)
    assert not writer.save_soon(lambda: pytest.fail("copied in vain"))
    go_on.set()
    writer.close()
