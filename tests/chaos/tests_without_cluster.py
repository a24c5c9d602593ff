"""Faults that need no cluster: tests that inject them, run as they are."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple

from tests.chaos.record import Record, record
from tests.e2e.place import REPOSITORY


class PytestRun(NamedTuple):
    """Tests that are one row of the table; beside it, each of them may note rows of its own."""

    name: str
    options: tuple[str, ...]
    """What pytest is to run."""
    environment: Mapping[str, str]

    def run(self, *, seed: int) -> bool:
        """Runs and notes them, and returns whether all passed."""
        options = (*self.options, f"--hypothesis-seed={seed}", "-q", "-p", "no:cacheprovider")
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **self.environment}
        command = [sys.executable, "-m", "pytest", *options]
        code = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode
        why = f"pytest ended with exit code {code}; what it printed says of what" if code else ""
        record(Record(fault=self.name, survived=not code, why=why))
        return not code


HISTORIES = PytestRun(
    "2000 histories at random, no cluster",
    (
        *(f"tests/unit/operator/decide/test_any_{kind}.py" for kind in ("history", "room", "checkpoint")),
        "--timeout=3600",
    ),
    {"LLMFINETUNE_HISTORIES": "2000"},
)
API = PytestRun(
    "every test of tests/api/faults",
    ("tests/api/faults", "-m", ""),
    {"LLMFINETUNE_REQUIRE_CLUSTER": "1"},  # tests that cannot run fail, instead of being left out
)
WITHOUT_CLUSTER = {HISTORIES.name, API.name}
