"""From `kubectl apply` to an adapter that plain PEFT loads, and away again."""

import json
import time

import pytest

from tests.e2e.history import assert_every_sample_once
from tests.e2e.manifests import fine_tune
from tests.e2e.session import Session, condition

COLUMNS = ["NAME", "PHASE", "PROGRESS", "STEP", "LOSS", "ETA", "WORKERS", "CHECKPOINT", "RESTARTS", "AGE"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def succeeded(session: Session) -> dict[str, object]:
    """One fine-tune that ran to its end."""
    session.namespace.apply(fine_tune("plain", evaluation={"everySteps": 6}))
    return session.until_succeeded("plain")


def test_status_tells_the_whole_story(succeeded: dict[str, dict[str, dict[str, object]]]) -> None:
    status = succeeded["status"]
    assert status["progress"] | {"etaSeconds": 0} == {
        "percent": 100,
        "step": 12,
        "totalSteps": 12,
        "epoch": status["progress"]["epoch"],
        "etaSeconds": 0,
    }
    assert float(str(status["metrics"]["evalLoss"])) < float(str(status["metrics"]["evalLossBefore"]))
    assert status["dataset"]["rows"] == 216
    assert status["checkpoint"]["verified"]
    assert status["runtime"]["backend"] in {"torch", "ipex"}
    assert str(status["output"]["adapter"]).startswith("pvc://plain/")
    assert condition(succeeded, "Ready")["status"] == "True"
    assert condition(succeeded, "Succeeded")["status"] == "True"
    assert 2 <= len(status["history"]) <= 20


def test_result_on_the_volume_is_the_one_in_the_status(
    session: Session, succeeded: dict[str, dict[str, dict[str, object]]]
) -> None:
    result = json.loads(session.read("plain", "output/result.json"))
    assert result["sha256"] == succeeded["status"]["output"]["sha256"]


def test_every_sample_counts_once_an_epoch(session: Session, succeeded: object) -> None:
    del succeeded
    assert_every_sample_once(session, "plain", steps=12)


@pytest.mark.usefixtures("succeeded")
def test_table_shows_what_a_user_looks_for(session: Session) -> None:
    header, row = session.namespace.run("get", "lft", "plain").splitlines()
    assert header.split() == COLUMNS
    assert row.split()[:4] == ["plain", "Succeeded", "100", "12"]


@pytest.mark.usefixtures("succeeded")
def test_deleting_the_resource_leaves_nothing(session: Session) -> None:
    session.namespace.run("delete", "llmfinetune", "plain")
    kinds = "pods,persistentvolumeclaims,configmaps,serviceaccounts,jobs.batch,pytorchjobs.kubeflow.org"
    deadline = time.monotonic() + 120
    while left := session.namespace.get(kinds, "-l", "llmfinetune.dev/name=plain")["items"]:
        assert time.monotonic() < deadline, [f"{o['kind']}/{o['metadata']['name']}" for o in left]
        time.sleep(1)
