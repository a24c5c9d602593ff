"""Fine-tunes that start from what another one left on its volume."""

import json
from collections.abc import Iterator

import pytest

from demo.kubectl import Object
from tests.e2e.history import assert_every_sample_once
from tests.e2e.manifests import fine_tune
from tests.e2e.session import Session, phase

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

FIRST, FURTHER, WARM, UNLIKE = NAMES = ("first", "further", "warm", "unlike")


@pytest.fixture(scope="module")
def heirs(session: Session) -> Iterator[dict[str, Object]]:
    """A fine-tune, and three others that name it, applied before it has anything to give."""
    place, origin = session.namespace, {"fineTune": FIRST}
    place.apply(
        fine_tune(FURTHER, training={"maxSteps": 10}, resumeFrom=origin),
        fine_tune(WARM, training={"maxSteps": 2}, resumeFrom=origin | {"mode": "warmStart"}),
        fine_tune(UNLIKE, method={"lora": {"rank": 2}}, training={"maxSteps": 10}, resumeFrom=origin),
    )
    session.until(WARM, lambda f: "resumeFrom" in json.dumps(f.get("status", {})), what="word of the origin")
    place.apply(fine_tune(FIRST, training={"maxSteps": 6}))
    session.until_succeeded(FIRST)
    yield {
        name: session.until(name, lambda f: phase(f) in {"Succeeded", "Failed"}, what="an end")
        for name in NAMES
    }
    place.run("delete", "llmfinetune", *NAMES, "--wait=false")


def test_continued_run_is_one_history_with_its_origin(session: Session, heirs: dict[str, Object]) -> None:
    assert phase(heirs[FURTHER]) == "Succeeded"
    assert heirs[FURTHER]["status"]["resumedFrom"] == f"pvc://{FIRST}/."
    assert_every_sample_once(session, FURTHER, steps=10)


def test_warm_start_begins_with_what_was_learnt(heirs: dict[str, Object]) -> None:
    before = float(heirs[FIRST]["status"]["metrics"]["evalLossBefore"])
    assert float(heirs[WARM]["status"]["metrics"]["evalLossBefore"]) < before
    assert heirs[WARM]["status"]["progress"]["totalSteps"] == 2


def test_what_does_not_fit_is_named_before_workers_start(session: Session, heirs: dict[str, Object]) -> None:
    failure = heirs[UNLIKE]["status"]["failure"]
    assert failure["reason"] == "ResumeFromMismatch"
    assert "rank" in failure["message"]
    assert session.workers(UNLIKE) == []
