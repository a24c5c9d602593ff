"""Faults of what training lives on: memory, room on nodes, and a process that does not get on."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from demo.kubectl import Object
from devcluster.errors import DevClusterError
from tests.chaos.fault import Change, Fault, at_world_size
from tests.chaos.faults_of_workers import rescale_counted, uncordon
from tests.chaos.observer import program
from tests.chaos.victim import OPERATOR, Victim
from tests.e2e.session import Session, condition

STALL_SECONDS = 60
"""The least that the operator can be set to."""
STALL_VARIABLE = "LLMFINETUNE_STALL_SECONDS"
WAIT_FOR_NODES = "15s"


@contextmanager
def impatient_operator(session: Session) -> Iterator[None]:
    """Has the operator take workers for stalled much sooner than usual."""
    _set_operator(session, f"{STALL_VARIABLE}={STALL_SECONDS}")
    try:
        yield
    finally:
        _set_operator(session, f"{STALL_VARIABLE}-")


def run_out_of_memory(victim: Victim) -> None:
    """Fills the memory that worker-0 may use until its training process is killed."""
    command = ("exec", victim.worker(0), "-c", "pytorch", "--", "python3", "-c", program("use_memory"))
    with suppress(DevClusterError):  # it ends with the container in which it runs
        victim.namespace.run(*command)


def remedied(change: Change) -> bool:
    """Whether the status tells of smaller micro-batches."""
    known, remedies = (each["status"].get("remedies", []) for each in (change.before, change.now))
    smaller = remedies and remedies[-1]["microBatchTokens"] < remedies[-1]["microBatchTokensBefore"]
    return len(remedies) == len(known) + 1 and bool(smaller)


def stop_trainer(victim: Victim) -> None:
    """Stops the training process without ending it, and returns when the status says that nothing moves."""
    victim.signal("SIGSTOP")
    victim.wait_for("word of the stall", _is_stalled, timeout=4 * STALL_SECONDS)


def restarted_for_no_progress(change: Change) -> bool:
    """Whether one more restart is counted."""
    then, counts = change.workers
    return bool(counts["restarts"] > then["restarts"])


def ask_without_room(victim: Victim) -> None:
    """Asks for a second worker while no node takes one, and returns when training goes on without it."""
    for node in victim.namespace.get("nodes")["items"]:
        victim.namespace.run("cordon", node["metadata"]["name"])
    victim.scale(2)
    victim.wait_for("word of too little room", _is_limited, timeout=90)


def _is_stalled(now: Object) -> bool:
    found = condition(now, "Stalled")
    return (found.get("status"), found.get("reason")) == ("True", "NoProgress")


def _is_limited(now: Object) -> bool:
    found = condition(now, "WorkersScheduled")
    return (found.get("status"), found.get("reason")) == ("False", "InsufficientResources")


def _set_operator(session: Session, variable: str) -> None:
    place, deployment = session.namespace.to(OPERATOR[0]), f"deployment/{OPERATOR[1]}"
    place.run("set", "env", deployment, variable)
    place.run("rollout", "status", deployment, "--timeout=180s", timeout=200)


OUT_OF_MEMORY = Fault(name="worker out of memory", inject=run_out_of_memory, told=remedied)
STALLED = Fault(name="trainer stopped, not ended", inject=stop_trainer, told=restarted_for_no_progress)
NO_ROOM = Fault(
    name="no room for a second worker, then room",
    inject=ask_without_room,
    heal=uncordon,
    back=at_world_size(2),
    told=rescale_counted,
    steps=150,
)
