"""What the suite makes of faults that are not injected, and of those that earlier runs injected."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import __main__ as command_line
from tests.chaos import long_suite
from tests.chaos.fault import Fault
from tests.chaos.record import RECORDS, SEED, Record, record
from tests.chaos.scenario import Scenario
from tests.chaos.tests_without_cluster import API
from tests.chaos.victim import TrainingEndedError
from tests.e2e.history import Samples

CHOSEN = ["trainer SIGKILL", "worker-0 killed", "scaled 1 to 2"]
ONLY = [f"--only={name}" for name in CHOSEN]


class Run:
    """A run of training in which every fault is survived."""

    def inject(self, fault: Fault) -> float:
        record(Record(fault=fault.name, survived=True))
        return 1.0

    def finish(self) -> Samples:
        return Samples(0, 0)


class ShortRun(Run):
    """One that ends before anything is injected."""

    def inject(self, fault: Fault) -> float:
        raise TrainingEndedError("too few steps")


@contextmanager
def sound(_session: object, _scenario: Scenario, *, seed: int) -> Iterator[Run]:
    yield Run()


@contextmanager
def short(_session: object, _scenario: Scenario, *, seed: int) -> Iterator[Run]:
    yield ShortRun()


@contextmanager
def never_begun(_session: object, scenario: Scenario, *, seed: int) -> Iterator[Run]:
    assert scenario.name != "one-worker", "no first step"
    yield Run()


@contextmanager
def without_clean_end(_session: object, _scenario: Scenario, *, seed: int) -> Iterator[Run]:
    yield Run()
    raise AssertionError("the second node could not be removed")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, Any]]]:
    monkeypatch.setenv(RECORDS, "")
    monkeypatch.setenv(SEED, "")
    monkeypatch.setenv("LLMFINETUNE_PROVIDER", "kind")
    monkeypatch.setattr(command_line, "FOLDER", tmp_path)
    monkeypatch.setattr(long_suite, "opened", nullcontext)

    def run(trial: Any, *arguments: str) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(long_suite, "trial", trial)
        code = command_line.main(arguments)
        table = json.loads((tmp_path / "result.json").read_text())
        return code, {row["fault"]: (row["injected"], row["missed"]) for row in table}

    return run


@pytest.mark.parametrize(
    ("trial", "code", "table"),
    [
        pytest.param(sound, 0, dict.fromkeys(CHOSEN, (1, 0)), id="all injected"),
        pytest.param(
            never_begun,
            1,
            {"scaled 1 to 2": (1, 0), "trainer SIGKILL": (0, 1), "worker-0 killed": (0, 1)},
            id="a run that fails before its first fault",
        ),
        pytest.param(short, 1, dict.fromkeys(CHOSEN, (0, 1)), id="a run that ends before its first fault"),
        pytest.param(
            without_clean_end, 1, dict.fromkeys(CHOSEN, (1, 0)), id="something went wrong between faults"
        ),
    ],
)
def test_a_chosen_fault_that_is_not_injected_is_told_of(
    suite: Callable[..., Any], trial: Any, code: int, table: dict[str, Any]
) -> None:
    assert suite(trial, *ONLY) == (code, table)


def test_a_fault_that_is_impossible_here_is_missed_only_where_it_is_asked_for(
    suite: Callable[..., Any],
) -> None:
    assert suite(sound, "--only=node lost") == (1, {"node lost": (0, 1)})
    assert "node lost" not in long_suite.names_here()


def test_a_table_may_be_completed_in_pieces(suite: Callable[..., Any]) -> None:
    code, table = suite(never_begun, *ONLY, "--until=2", "--seed=1")
    assert (code, table["worker-0 killed"], table["scaled 1 to 2"]) == (1, (0, 2), (2, 0))
    assert suite(sound, *ONLY, "--until=2", "--seed=2") == (0, dict.fromkeys(CHOSEN, (2, 0)))
    assert suite(never_begun, *ONLY, "--until=2") == (0, dict.fromkeys(CHOSEN, (2, 0)))
    assert suite(sound, *ONLY, "--add", "--rounds=3") == (0, dict.fromkeys(CHOSEN, (5, 0)))


def test_the_table_tells_which_commands_made_it(
    suite: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    suite(sound, "--only=scaled 1 to 2", "--seed=3")
    suite(sound, "--only=scaled 1 to 2", "--seed=4")
    capsys.readouterr()
    suite(sound, "--only=trainer SIGKILL", "--add")
    told = capsys.readouterr().out
    assert "--seed=3" not in told
    assert "- `python -m tests.chaos '--only=scaled 1 to 2' --seed=4`: 0.0 minutes on" in told
    assert "- `python -m tests.chaos '--only=trainer SIGKILL' --add`: 0.0 minutes on" in told


@pytest.mark.parametrize(("exit_code", "expected"), [(0, 0), (1, 1), (5, 1)])
def test_tests_that_need_no_cluster_are_one_row_and_run_once(
    suite: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, exit_code: int, expected: int
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], exit_code))
    name = API.name
    assert suite(sound, f"--only={name}", "--rounds=3") == (expected, {name: (1, 0)})
