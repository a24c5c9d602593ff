"""How the state of a PyTorchJob is read."""

from typing import Any

import pytest

from llmfinetune_operator.backends.base import JobState
from llmfinetune_operator.backends.pytorchjob import PyTorchJobBackend

TIME = "2026-11-21T12:00:00Z"


def job(*conditions: tuple[str, str]) -> dict[str, Any]:
    told = [{"type": t, "status": s, "lastTransitionTime": TIME, "message": f"is {t}"} for t, s in conditions]
    return {"status": {"conditions": told}}


STATES = {
    "nothing told yet": ({}, JobState.ACTIVE),
    "running": (job(("Created", "True"), ("Running", "True")), JobState.ACTIVE),
    "suspended": (job(("Suspended", "True")), JobState.ACTIVE),
    "restarting after a failed pod": (job(("Failed", "False"), ("Restarting", "True")), JobState.ACTIVE),
    "succeeded": (job(("Running", "False"), ("Succeeded", "True")), JobState.SUCCEEDED),
    "failed": (job(("Running", "False"), ("Failed", "True")), JobState.FAILED),
}


@pytest.mark.parametrize(("live", "state"), STATES.values(), ids=STATES.keys())
def test_state(live: dict[str, Any], state: JobState) -> None:
    backend = PyTorchJobBackend()
    assert backend.state(live) is state
    assert (backend.finished_at(live) is None) == (state is JobState.ACTIVE)
    assert bool(backend.failure_message(live)) == (state is JobState.FAILED)
