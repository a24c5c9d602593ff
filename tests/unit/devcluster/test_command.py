"""Programs that do not end in time, or are not there at all."""

from pathlib import Path

import pytest

from devcluster.command import NOT_FOUND, TIMED_OUT, run, run_unchecked
from devcluster.errors import DevClusterError, MissingRequirementError

SLOW = ["sleep", "60"]


@pytest.mark.parametrize("log", [None, "slow.log"], ids=["output captured", "output in a file"])
def test_a_program_whose_time_is_up_has_failed(tmp_path: Path, log: str | None) -> None:
    result = run_unchecked(SLOW, timeout=0.05, log=tmp_path / log if log else None)
    assert result.returncode == TIMED_OUT


def test_a_program_that_must_succeed_in_time_says_that_it_did_not() -> None:
    with pytest.raises(DevClusterError, match=r"`sleep 60` failed .*\n.*not done within 0.05 s"):
        run(SLOW, timeout=0.05)


def test_a_program_that_is_not_there_is_named_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(MissingRequirementError, match="'no-such-program' is not on this machine") as caught:
        run(["no-such-program", "--version"], log=tmp_path / "log")
    assert caught.value.hint


def test_a_program_that_may_be_absent_has_an_exit_code_for_it() -> None:
    assert run_unchecked(["no-such-program"]).returncode == NOT_FOUND


def test_a_program_that_ends_as_a_shell_without_one_does_is_quoted() -> None:
    with pytest.raises(DevClusterError, match=r"exit code 127:\nwhat it said"):
        run(["sh", "-c", "echo what it said; exit 127"])
