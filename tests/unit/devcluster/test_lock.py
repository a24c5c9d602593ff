"""Two runs never hold the lock at once."""

from pathlib import Path

import pytest

from devcluster.errors import BusyError, ExitCode
from devcluster.lock import exclusive
from tests.unit.devcluster.scripts import script

HOLDER = """
import sys
from pathlib import Path
from devcluster.lock import exclusive
with exclusive(Path(sys.argv[1]), "the holder"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_second_run_waits_and_then_names_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with script(HOLDER, str(path)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(BusyError, match=f"process {holder.pid}") as caught,
            exclusive(path, "the holder", timeout=0.5),
        ):
            pytest.fail("both hold the lock")
        assert caught.value.exit_code == ExitCode.BUSY
        holder.kill()
    with exclusive(path, "the holder", timeout=5):
        assert path.exists()
