"""Workers come and go while training goes on, and no sample is lost or repeated."""

import pytest

from tests.e2e.history import assert_every_sample_once
from tests.e2e.manifests import fine_tune
from tests.e2e.session import Session, phase, reached

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

STEPS = 60


def start(session: Session, name: str, *, steps: int = STEPS) -> None:
    """Applies a fine-tune and waits until it trains."""
    session.namespace.apply(fine_tune(name, training={"maxSteps": steps}))
    session.until_step(name, 3)


def finish(session: Session, name: str, *, steps: int = STEPS) -> None:
    """Waits for success, checks the history of the samples, and removes the fine-tune."""
    session.until_succeeded(name)
    assert_every_sample_once(session, name, steps=steps)
    session.namespace.run("delete", "llmfinetune", name, "--wait=false")


def test_scaling_up_and_down_while_training(session: Session) -> None:
    start(session, "scaled", steps=90)
    session.namespace.run("scale", "llmfinetune", "scaled", "--replicas=2")
    session.until("scaled", lambda f: f["status"].get("runtime", {}).get("worldSize") == 2, what="two ranks")
    assert len(session.workers("scaled")) == 2
    session.patch("scaled", {"workers": {"replicas": 1}})
    one = session.until(
        "scaled", lambda f: f["status"].get("runtime", {}).get("worldSize") == 1, what="one rank"
    )
    assert phase(one) == "Training", "both changes must reach a job that still trains"
    session.until("scaled", lambda f: f["status"]["workers"]["rescales"] == 2, what="two counted rescales")
    finish(session, "scaled", steps=90)


def test_losing_the_rendezvous_host_mid_run(session: Session) -> None:
    start(session, "bereft")
    [worker] = session.workers("bereft")
    session.namespace.run("delete", "pod", worker["metadata"]["name"], "--grace-period=0", "--force")
    session.until("bereft", lambda f: f["status"]["workers"]["restarts"] >= 1, what="a counted restart")
    finish(session, "bereft")


def test_operator_killed_while_training_goes_on(session: Session) -> None:
    start(session, "orphan")
    before = [worker["metadata"]["uid"] for worker in session.workers("orphan")]
    session.system.run("delete", "pods", "--all", "--grace-period=0", "--force")
    session.system.run("rollout", "status", "deployment/llmfinetune-operator", "--timeout=120s", timeout=140)
    step = reached(session.get("orphan"))
    session.until_step("orphan", step + 3)
    assert [worker["metadata"]["uid"] for worker in session.workers("orphan")] == before
    finish(session, "orphan")


def test_suspend_frees_the_workers_and_resume_goes_on(session: Session) -> None:
    start(session, "paused")
    session.patch("paused", {"runPolicy": {"suspend": True}})
    suspended = session.until(
        "paused", lambda f: phase(f) == "Suspended" and not session.workers("paused"), what="suspension"
    )
    step = suspended["status"]["checkpoint"]["step"]
    assert step >= 2
    session.patch("paused", {"runPolicy": {"suspend": False}})
    resumed = session.until("paused", lambda f: phase(f) == "Training", what="training again")
    assert reached(resumed) >= step
    finish(session, "paused")
