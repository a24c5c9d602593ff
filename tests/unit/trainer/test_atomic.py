"""Files and directories appear whole or not at all; one writer at a time."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmfinetune_trainer.atomic import atomic_directory, exclusive, write_atomically


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_directory_appears_when_it_is_whole(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "made") as directory:
        (directory / "file").write_text("x", encoding="utf-8")
        assert not (tmp_path / "made").exists()
    assert names(tmp_path) == ["made"]
    assert names(tmp_path / "made") == ["file"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    write_atomically(tmp_path / "made" / "file", "old")
    with pytest.raises(OSError, match="full"), atomic_directory(tmp_path / "made"):
        raise OSError("full")
    assert names(tmp_path) == ["made"]
    assert (tmp_path / "made" / "file").read_text(encoding="utf-8") == "old"


def test_a_lock_waits_for_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    hold = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); "
        "fcntl.flock(f, 2); print(flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", hold, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        waiting = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {holder.pid}"])
        started = time.monotonic()
        with exclusive(tmp_path / "lock"):
            assert time.monotonic() - started > 0.2
        waiting.wait()
