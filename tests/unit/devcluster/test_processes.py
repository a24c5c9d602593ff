"""Processes are known by id and start time; nothing else is ever signalled."""

import os
import sys
import time
from pathlib import Path

from devcluster.processes import Process, Registry, start, start_time_of
from tests.unit.devcluster.scripts import script


def sleeper(folder: Path, *, name: str = "sleeper") -> Process:
    return start(name, [sys.executable, "-c", "import time; time.sleep(60)"], log=folder / "log")


def test_started_process_lives_until_stopped(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    assert process.is_alive()
    process.stop()
    assert not process.is_alive()


def test_process_that_ignores_the_request_is_ended_all_the_same(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    log = tmp_path / "log"
    process = start("stubborn", [sys.executable, "-c", stubborn], log=log)
    while "on" not in log.read_text():
        assert process.is_alive()
    process.stop(timeout=0.2)
    assert not process.is_alive()


def test_an_id_given_to_somebody_else_is_left_alone() -> None:
    mine = os.getpid()
    impostor = Process("gone", mine, (start_time_of(mine) or 0) + 1)
    assert not impostor.is_alive()
    impostor.stop()
    impostor.kill()


def test_registry_finds_and_forgets(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "records")
    process = sleeper(tmp_path)
    registry.record(process)
    assert registry.find("sleeper") == process
    assert registry.all_running() == [process]
    assert registry.stop("sleeper")
    assert registry.find("sleeper") is None
    assert not registry.stop("sleeper")


SAYS_GOODBYE = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("bye", flush=True))
print("up", flush=True)
time.sleep(60)
"""


def test_a_killed_process_has_no_time_for_anything(tmp_path: Path) -> None:
    registry, words = Registry(tmp_path / "records"), tmp_path / "log"
    process = start("polite", [sys.executable, "-c", SAYS_GOODBYE], log=words)
    registry.record(process)
    while not words.read_text():
        time.sleep(0.01)
    registry.kill("polite")
    assert not process.is_alive()
    assert registry.find("polite") is None
    assert words.read_text() == "up\n"


def test_unreadable_record_is_no_process(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    assert Registry(tmp_path).find("broken") is None


PARENT = """
import sys, time
from pathlib import Path
from devcluster.processes import start
command = [sys.executable, "-c", "import time; time.sleep(60)"]
child = start("child", command, log=Path(sys.argv[1]), tied=True)
print(child.pid, child.start_time, flush=True)
time.sleep(60)
"""


def test_tied_process_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    with script(PARENT, str(tmp_path / "log")) as parent:
        assert parent.stdout is not None
        pid, started = map(int, parent.stdout.readline().split())
        parent.kill()
    child = Process("child", pid, started)
    deadline = time.monotonic() + 5
    while child.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not child.is_alive()
