"""Which workers have a node to run on, and what holds the others."""

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.pod_troubles import trouble_on_node
from llmfinetune_operator.policies.pods_refused import refused_pods
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.resources import names


def what_holds_workers(view: View, asked: int) -> str:
    """What the scheduler or the node says of the first worker that cannot run, or why its pod is not made."""
    waiting = [pod for pod in expected_pods(view, asked).values() if not can_run(pod, view)]
    messages = [told for pod in waiting if (told := _what_holds(pod, view))]
    if messages:
        return messages[0]
    refused = refused_pods(view.training_job, view.observed.events)
    return refused or (
        "the scheduler has not looked at them yet" if waiting else "their pods are not made yet"
    )


def _what_holds(pod: Object, view: View) -> str:
    trouble = trouble_on_node(pod, view)
    if trouble is not None:
        return f"{trouble.failure.message} ({trouble.failure.hint})"
    return str((pods.pod_condition(pod, "PodScheduled") or {}).get("message") or "")


def expected_pods(view: View, asked: int) -> dict[int, Object]:
    """The pods of the workers that are asked for, by their number."""
    live = {pods.name(pod): pod for pod in view.worker_pods}
    numbered = {index: live.get(names.worker_pod(view.owner.name, index)) for index in range(asked)}
    return {index: pod for index, pod in numbered.items() if pod is not None}


def can_run(pod: Object, view: View) -> bool:
    """Whether the pod has a node, and nothing is known to keep it from starting there."""
    return _is_placed(pod) and trouble_on_node(pod, view) is None


def _is_placed(pod: Object) -> bool:
    """Whether the pod has a node."""
    scheduled = pods.pod_condition(pod, "PodScheduled")
    has_node = bool(pod.get("spec", {}).get("nodeName"))
    return (
        has_node or pods.phase(pod) != "Pending" or (scheduled is not None and scheduled["status"] == "True")
    )
