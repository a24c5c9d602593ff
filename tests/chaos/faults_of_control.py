"""Faults of what controls: the operator, the training operator, the API server, and the objects they keep."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from demo.kubectl import Object
from devcluster.cli import main as devcluster
from tests.chaos.fault import Fault, reported, resumed
from tests.chaos.faults_of_workers import restart_counted
from tests.chaos.timeline import Moment
from tests.chaos.victim import OPERATOR, TRAINING_OPERATOR, Victim
from tests.e2e.session import Session

SECRET = "chaos-token"


def kill_operator(victim: Victim) -> None:
    """Ends the operator with no time for anything."""
    victim.namespace.to(OPERATOR[0]).run("delete", "pods", "--all", "--grace-period=0", "--force")


def lose_worker_without_training_operator(seconds: float) -> Callable[[Victim], None]:
    """Takes the training operator away, then a worker, and leaves it so for a while."""

    def inject(victim: Victim) -> None:
        victim.deploy(TRAINING_OPERATOR, replicas=0)
        victim.kill_pods(victim.worker(0))
        time.sleep(seconds)

    return inject


def restart_api_server(_victim: Victim) -> None:
    """Ends the API server and starts it again."""
    assert devcluster(["restart", "kube-apiserver"]) == 0


def edit_configuration(victim: Victim) -> None:
    """Writes something else into the run configuration by hand."""
    config_map = f"{victim.name}-run"
    victim.namespace.run("patch", "configmap", config_map, "--type=merge", "-p", '{"data":{"run.json":"{}"}}')


def configuration_is_back(victim: Victim, _moment: Moment) -> float | None:
    """When the run configuration was as the operator made it."""
    found = victim.namespace.get("configmaps", "--field-selector", f"metadata.name={victim.name}-run")
    is_whole = any(len(item["data"]["run.json"]) > len("{}") for item in found["items"])
    return victim.observer.now() if is_whole else None


def change_secret(victim: Victim) -> None:
    """Rotates the Secret, then deletes it, then takes the worker: nothing that trains needs it any more."""
    victim.session.namespace.apply(secret("rotated-and-not-real"))
    victim.namespace.run("delete", "secret", SECRET)
    victim.kill_pods(victim.worker(0))


@contextmanager
def with_secret(session: Session) -> Iterator[None]:
    """Makes the Secret that the fine-tune names."""
    session.namespace.apply(secret("not-a-real-token"))
    yield
    session.namespace.run("delete", "secret", SECRET, "--ignore-not-found")


def secret(value: str) -> Object:
    """Returns the Secret that the fine-tune names."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET},
        "stringData": {"token": value},
    }


def _delete(kind: str, suffix: str = "") -> Callable[[Victim], None]:
    def inject(victim: Victim) -> None:
        victim.namespace.run("delete", kind, f"{victim.name}{suffix}", "--wait=false")

    return inject


OPERATOR_KILLED = Fault(
    name="operator killed while training", inject=kill_operator, back=reported, interrupts=False, steps=100
)
TRAINING_OPERATOR_DOWN = Fault(
    name="training-operator down 2 min, worker lost",
    inject=lose_worker_without_training_operator(120),
    heal=lambda v: v.deploy(TRAINING_OPERATOR, replicas=1),
    told=restart_counted,
)
API_SERVER_RESTARTED = Fault(
    name="API server restarted",
    inject=restart_api_server,
    back=reported,
    interrupts=False,
    steps=100,
    embedded_only=True,
)
CONFIGURATION_EDITED = Fault(
    name="configuration edited by hand",
    inject=edit_configuration,
    back=configuration_is_back,
    interrupts=False,
)
CONFIGURATION_DELETED = Fault(
    name="configuration deleted by hand",
    inject=_delete("configmap", "-run"),
    back=configuration_is_back,
    interrupts=False,
)
JOB_DELETED = Fault(name="training job deleted by hand", inject=_delete("pytorchjob"), back=resumed)
SECRET_CHANGED = Fault(
    name="Secret rotated and deleted, worker lost", inject=change_secret, told=restart_counted
)
