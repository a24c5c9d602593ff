"""Programs that do not end in time."""

from pathlib import Path

import pytest

from devcluster.command import TIMED_OUT, run, run_unchecked
from devcluster.errors import DevClusterError

SLOW = ["sleep", "60"]


@pytest.mark.parametrize("log", [None, "slow.log"], ids=["output captured", "output in a file"])
def test_a_program_whose_time_is_up_has_failed(tmp_path: Path, log: str | None) -> None:
    result = run_unchecked(SLOW, timeout=0.05, log=tmp_path / log if log else None)
    assert result.returncode == TIMED_OUT


def test_a_program_that_must_succeed_in_time_says_that_it_did_not() -> None:
    with pytest.raises(DevClusterError, match=r"`sleep 60` failed .*\n.*not done within 0.05 s"):
        run(SLOW, timeout=0.05)
