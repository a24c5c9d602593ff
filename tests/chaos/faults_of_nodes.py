"""Faults of nodes, shown on two: where workers sit, and what happens when their node is drained or dies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from devcluster.cli import main as devcluster
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.layout import Layout
from tests.chaos.fault import Change, Fault, Told, resumed
from tests.chaos.faults_of_workers import (
    RESCALE_SECONDS,
    drain_node,
    is_recent_restart,
    rescale_counted,
    restart_counted,
    uncordon,
)
from tests.chaos.timeline import Moment
from tests.chaos.victim import Victim
from tests.e2e.session import Session, condition

TAINT = "llmfinetune.dev/chaos"
"""Keeps all but the workers off the second node: the operator and the observer are not to be lost with it."""
TOLERATION = {"key": TAINT, "operator": "Exists", "effect": "NoSchedule"}
NODES = EmbeddedSettings(layout=Layout.from_environment())
FIRST, SECOND = NODES.first_node.name, NODES.node(2).name


@contextmanager
def second_node(session: Session) -> Iterator[None]:
    """Adds a second node; removed in the end."""
    _node("add")
    session.namespace.run("taint", "node", SECOND, f"{TAINT}=:NoSchedule", "--overwrite")
    try:
        yield
    finally:
        session.namespace.run("uncordon", FIRST)
        _node("remove")


def spread(victim: Victim) -> None:
    """Sees to it that a worker runs on the second node, and that a loss from now on is counted by itself."""
    uncordon(victim)
    if SECOND not in places(victim):
        _move_to_second_node(victim)
    victim.wait_for("the end of the last incident", lambda now: not is_recent_restart(now, datetime.now(UTC)))


def lose_second_node(_victim: Victim) -> None:
    """Ends the second node as a power failure would."""
    _node("lose")


def restart_second_node(victim: Victim) -> None:
    """Ends the second node as a power failure would, and starts it before anybody gives it up."""
    lose_second_node(victim)
    _node("add")


def be_without_second_node(victim: Victim) -> None:
    """Sees to it that the second node is lost, and that training goes on."""
    if not _is_ready(victim):
        return
    spread(victim)
    moment = victim.moment()
    lose_second_node(victim)
    victim.wait("work without the node", lambda: resumed(victim, moment) is not None)


def drain_second_node(victim: Victim) -> None:
    """Cordons the second node and evicts its worker."""
    drain_node(victim, SECOND)


def places(victim: Victim) -> set[str]:
    """Names of the nodes on which workers are."""
    return {str(pod["spec"].get("nodeName")) for pod in victim.session.workers(victim.name)}


def on_nodes(*names: str) -> Callable[[Victim, Moment], float | None]:
    """When two workers, another group than before, did a step together and sat on exactly these nodes."""

    def back(victim: Victim, moment: Moment) -> float | None:
        time = _together_again(victim, moment)
        return time if time is not None and places(victim) == set(names) else None

    return back


def node_is_ready(victim: Victim, moment: Moment) -> float | None:
    """When the second node took pods again, and nothing was left on it of what ran there before."""
    is_clean = _is_ready(victim) and SECOND not in places(victim)
    return victim.observer.now() if is_clean and victim.moment().step > moment.step else None


def placement_told(words: str) -> Told:
    """Whether the status says where all workers are, and why there."""

    def told(change: Change) -> bool:
        found = condition(change.now, "WorkersScheduled")
        return rescale_counted(change) and words in found.get("message", "")

    return told


def restarted_for(reason: str) -> Told:
    """Whether a restart for this reason is counted, and no failure."""

    def told(change: Change) -> bool:
        then, counts = change.workers
        no_failure = counts.get("failures", 0) == then.get("failures", 0)
        return restart_counted(change) and counts["lastRestartReason"] == reason and no_failure

    return told


def _move_to_second_node(victim: Victim) -> None:
    moment = victim.moment()
    victim.namespace.run("cordon", FIRST)
    victim.kill_pods(victim.worker(1))
    victim.wait("a worker on the second node", lambda: SECOND in places(victim))
    uncordon(victim)
    victim.wait("work on both nodes", lambda: _together_again(victim, moment) is not None)


def _together_again(victim: Victim, moment: Moment) -> float | None:
    step = victim.observer.timeline().next_step(
        moment, lambda step: step.generation > moment.generation and step.world_size == 2
    )
    return step.time if step else None


def _is_ready(victim: Victim) -> bool:
    return bool(condition(victim.namespace.get("node", SECOND), "Ready").get("status") == "True")


def _node(action: str) -> None:
    assert devcluster(["node", action]) == 0


SPREAD = Fault(
    name="scaled 1 to 2, two nodes",
    inject=lambda v: v.scale(2),
    back=on_nodes(FIRST, SECOND),
    told=placement_told("on 2 nodes; they spread over nodes"),
    limit_s=RESCALE_SECONDS,
    steps=40,
    embedded_only=True,
)
TOGETHER = Fault(
    name="scaled 1 to 2, volume of one node",
    inject=lambda v: v.scale(2),
    back=on_nodes(FIRST),
    told=placement_told("on 1 node; they share one"),
    limit_s=RESCALE_SECONDS,
    steps=40,
    embedded_only=True,
)
NODE_LOST = Fault(
    name="node lost",
    arrange=spread,
    inject=lose_second_node,
    told=restarted_for("NodeLost"),
    workers=2,
    steps=80,
    embedded_only=True,
)
NODE_BACK = Fault(
    name="lost node back",
    arrange=be_without_second_node,
    inject=lambda _: _node("add"),
    back=node_is_ready,
    workers=2,
    interrupts=False,
    steps=80,
    embedded_only=True,
)
NODE_RESTARTED = Fault(
    name="node restarted",
    arrange=spread,
    inject=restart_second_node,
    told=restarted_for("NodeLost"),
    workers=2,
    steps=80,
    embedded_only=True,
)
WORKER_MOVED = Fault(
    name="one of two nodes drained",
    arrange=spread,
    inject=drain_second_node,
    back=on_nodes(FIRST),
    told=restarted_for("Evicted"),
    workers=2,
    steps=80,
    embedded_only=True,
)
