"""What the suite sees of a history, and what it concludes from it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.fault import Fault, broken_promise
from tests.chaos.in_pod import watch_history
from tests.chaos.in_pod.watch_history import Watcher
from tests.chaos.timeline import Moment, Timeline


def line(step: int, *, seconds: float = 0.5, world: int = 1) -> str:
    record = {"step": step, "cursor": 8 * step, "samples": "00", "seconds": seconds, "worldSize": world}
    return json.dumps(record) + "\n"


class Trainer:
    """Writes a history as the trainer does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"

    def start(self, *kept: str) -> None:
        new = self.path.with_name("new")
        new.write_text("".join(kept))
        new.rename(self.path)

    def step(self, *lines: str) -> None:
        with self.path.open("a") as file:
            file.writelines(lines)


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    monkeypatch.setattr(watch_history, "HISTORY", tmp_path / "metrics.jsonl")
    monkeypatch.setattr(watch_history, "CHECKPOINTS", tmp_path / "checkpoints")
    return Trainer(tmp_path)


def seen(watcher: Watcher) -> Timeline:
    return Timeline.parse("\n".join(json.dumps(entry) for entry in watcher.told))


def test_steps_computed_again_are_told_again_and_kept_ones_are_not(trainer: Trainer) -> None:
    watcher = Watcher()
    watcher.look(0.0)
    trainer.start()
    watcher.look(0.5)
    trainer.step(line(1), line(2), line(3))
    watcher.look(1.0)
    trainer.start(line(1), line(2))
    watcher.look(2.0)
    trainer.step(line(3, seconds=0.7, world=2))
    watcher.look(3.0)
    found = seen(watcher)
    assert [tuple(step) for step in found.steps] == [
        (1.0, 1, 1, 1),
        (1.0, 1, 2, 1),
        (1.0, 1, 3, 1),
        (3.0, 2, 3, 2),
    ]
    assert [tuple(begun) for begun in found.resumptions] == [(0.5, 1, 0), (2.0, 2, 2)]


def test_a_line_that_is_being_written_is_told_once_it_is_whole(trainer: Trainer) -> None:
    watcher = Watcher()
    trainer.start()
    watcher.look(0.0)
    trainer.step(line(1)[:20])
    watcher.look(1.0)
    trainer.step(line(1)[20:])
    watcher.look(2.0)
    assert [step.time for step in seen(watcher).steps] == [2.0]


def test_a_checkpoint_counts_once_its_manifest_is_there(trainer: Trainer, tmp_path: Path) -> None:
    watcher = Watcher()
    folder = tmp_path / "checkpoints" / "step-00000005"
    folder.mkdir(parents=True)
    watcher.look(1.0)
    (folder / "manifest.json").touch()
    watcher.look(2.0)
    assert seen(watcher).saves == ((2.0, 5),)


def entries(*, resumed: int | None) -> Timeline:
    told: list[dict[str, Any]] = [
        {"time": 0, "generation": 1, "resumed": 0},
        *({"time": step, "generation": 1, "step": step, "world": 1} for step in range(1, 13)),
        {"time": 5.1, "saved": 5},
        {"time": 10.1, "saved": 10},
    ]
    if resumed is not None:
        told += [
            {"time": 20, "generation": 2, "resumed": resumed},
            {"time": 21, "generation": 2, "step": resumed + 1, "world": 1},
        ]
    return Timeline.parse("\n".join(map(json.dumps, told)))


def test_a_moment_says_how_far_training_was() -> None:
    assert entries(resumed=10).at(11.5) == Moment(time=11.5, generation=1, step=11, saved=10)


@pytest.mark.parametrize(
    ("resumed", "change", "words"),
    [
        pytest.param(10, {}, "", id="going on from the newest checkpoint is right"),
        pytest.param(12, {}, "", id="going on from a later state is right"),
        pytest.param(5, {}, "older than the checkpoint of step 10", id="an older one is work lost"),
        pytest.param(5, {"num_checkpoints_lost": 1}, "", id="the one before is right where one is damaged"),
        pytest.param(0, {"num_checkpoints_lost": 1}, "older", id="the beginning is not"),
        pytest.param(None, {}, "did not start again", id="a trainer that stays away is seen"),
        pytest.param(None, {"interrupts": False}, "", id="an undisturbed one is right"),
        pytest.param(10, {"interrupts": False}, "started again", id="a needless restart is seen"),
    ],
)
def test_where_the_trainer_goes_on(resumed: int | None, change: dict[str, Any], words: str) -> None:
    fault = Fault(name="any", inject=lambda _victim: None, **change)
    timeline = entries(resumed=resumed)
    said = broken_promise(fault, timeline, timeline.at(12.5))
    assert words in said
    assert bool(said) == bool(words)
