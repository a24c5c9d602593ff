"""Faults of what computes: processes, pods, their number, and what lies on the volume."""

import time
from datetime import datetime

from demo.kubectl import Object
from llmfinetune_operator.policies.losses import SAME_INCIDENT
from llmfinetune_operator.times import parse_time
from tests.chaos.fault import Change, Fault, at_world_size, missed_limit
from tests.chaos.record import Record, record
from tests.chaos.victim import Victim
from tests.e2e.session import phase

RESCALE_SECONDS = 30.0
"""Until another number of workers does steps together: a promise of the product, and so is the next."""
SUSPEND_SECONDS = 30.0


def restart_counted(change: Change) -> bool:
    """Whether one more restart is in the status, with its reason.

    None is added where the fault struck so soon after the last one that both are one incident.
    """
    then, counts = change.workers
    is_counted = counts["restarts"] > then["restarts"] or is_recent_restart(change.before, change.struck)
    return is_counted and bool(counts.get("lastRestartReason"))


def is_recent_restart(fine_tune: Object, now: datetime) -> bool:
    """Whether workers that are lost now belong to the restart that the status told of last."""
    last = parse_time(fine_tune["status"]["workers"].get("lastRestartTime"))
    return last is not None and now - last <= SAME_INCIDENT


def rescale_counted(change: Change) -> bool:
    """Whether one more rescale is in the status, with its reason."""
    then, counts = change.workers
    return counts["rescales"] > then["rescales"] and bool(counts.get("lastRescaleReason"))


def suspend(victim: Victim) -> None:
    """Suspends, and returns when no pod is left."""
    started = time.monotonic()
    victim.session.patch(victim.name, {"runPolicy": {"suspend": True}})
    selector = f"llmfinetune.dev/name={victim.name},llmfinetune.dev/component=worker"
    victim.wait("end of the pods", lambda: not victim.namespace.get("pods", "-l", selector)["items"])
    seconds = round(time.monotonic() - started, 2)
    victim.wait_for("word of it", lambda now: phase(now) == "Suspended", timeout=30)
    late = missed_limit(seconds, SUSPEND_SECONDS)
    record(Record(fault="suspended: all pods gone", survived=not late, why=late, recovery_s=seconds))


def resume(victim: Victim) -> None:
    """Ends a suspension."""
    victim.session.patch(victim.name, {"runPolicy": {"suspend": False}})


def truncate_checkpoint(victim: Victim) -> None:
    """Damages the newest checkpoint while nobody uses it."""
    suspend(victim)
    victim.observer.run("truncate_checkpoint")


def drain(victim: Victim) -> None:
    """Cordons the worker's node and evicts the worker; returns when the status says that no node takes it."""
    drain_node(victim, _node(victim))
    victim.wait_for("word of the cordon", _is_unschedulable, timeout=90)


def drain_node(victim: Victim, node: str) -> None:
    """Cordons a node and evicts the workers on it."""
    selector = f"--pod-selector=llmfinetune.dev/name={victim.name},llmfinetune.dev/component=worker"
    victim.namespace.run(
        "drain", node, selector, "--delete-emptydir-data", "--force", "--timeout=90s", timeout=100
    )


def autoscale(victim: Victim) -> None:
    """Has Kubernetes' own autoscaler ask for a second worker: below its minimum it needs no metrics."""
    victim.namespace.apply(autoscaler_to_two(victim.name))
    victim.wait_for("word of the autoscaler", lambda now: now["spec"]["workers"]["replicas"] == 2)


def autoscaler_to_two(name: str) -> Object:
    """Returns a HorizontalPodAutoscaler of a fine-tune's scale subresource that wants two workers."""
    target = {"apiVersion": "llmfinetune.dev/v1alpha1", "kind": "LLMFineTune", "name": name}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 2},
    }


def uncordon(victim: Victim) -> None:
    """Lets all nodes take pods again."""
    for node in victim.namespace.get("nodes")["items"]:
        victim.namespace.run("uncordon", node["metadata"]["name"])


def _is_unschedulable(now: Object) -> bool:
    return bool(now["status"].get("failure", {}).get("category") == "Scheduling")


def _node(victim: Victim) -> str:
    return str(victim.session.workers(victim.name)[0]["spec"]["nodeName"])


WORKER_0_KILLED = Fault(
    name="worker-0 killed", inject=lambda v: v.kill_pods(v.worker(0)), told=restart_counted
)
HOST_OF_TWO_KILLED = Fault(
    name="worker-0 of two killed",
    inject=lambda v: v.kill_pods(v.worker(0)),
    told=restart_counted,
    workers=2,
    steps=40,
)
ALL_KILLED = Fault(
    name="all workers killed", inject=lambda v: v.kill_pods(*v.workers()), told=restart_counted, workers=2
)
RANK_0_KILLED = Fault(
    name="rank 0 of two killed", inject=lambda v: v.signal("SIGKILL", rank=0), workers=2, steps=40
)
TRAINER_KILLED = Fault(name="trainer SIGKILL", inject=lambda v: v.signal("SIGKILL"))
TRAINER_STOPPED = Fault(name="trainer SIGTERM", inject=lambda v: v.signal("SIGTERM"))
POD_PREEMPTED = Fault(
    name="worker pod deleted (SIGTERM)",
    inject=lambda v: v.namespace.run("delete", "pod", v.worker(0), "--wait=false") and None,
    told=restart_counted,
)
SCALED_UP = Fault(
    name="scaled 1 to 2",
    inject=lambda v: v.scale(2),
    back=at_world_size(2),
    told=rescale_counted,
    limit_s=RESCALE_SECONDS,
    steps=40,
)
AUTOSCALED = Fault(
    name="scaled 1 to 2 by an autoscaler",
    inject=autoscale,
    heal=lambda v: v.namespace.run("delete", "hpa", v.name) and None,
    back=at_world_size(2),
    told=rescale_counted,
    limit_s=RESCALE_SECONDS,
    steps=60,
)
SCALED_DOWN = Fault(
    name="scaled 2 to 1",
    inject=lambda v: v.scale(1),
    back=at_world_size(1),
    told=rescale_counted,
    limit_s=RESCALE_SECONDS,
    workers=2,
    steps=40,
)
SUSPENDED = Fault(name="suspended and resumed", inject=suspend, heal=resume)
CHECKPOINT_TRUNCATED = Fault(
    name="newest checkpoint truncated",
    inject=truncate_checkpoint,
    heal=resume,
    num_checkpoints_lost=1,
)
NODE_DRAINED = Fault(name="node cordoned and drained", inject=drain, heal=uncordon, told=restart_counted)
