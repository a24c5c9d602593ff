"""The one trouble that a group of pods is told to have: the first that only a person can end comes first."""

from collections.abc import Iterable
from datetime import datetime

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies import pods
from llmfinetune_operator.policies.lost_nodes import silent_node_trouble
from llmfinetune_operator.policies.mounts import mount_trouble
from llmfinetune_operator.policies.outlived import judged_again, outlived_trouble
from llmfinetune_operator.policies.sandboxes import sandbox_trouble
from llmfinetune_operator.policies.scheduling import looked_at_again, scheduling_trouble
from llmfinetune_operator.policies.termination import explain
from llmfinetune_operator.policies.trouble import Trouble
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.policies.waiting import start_trouble


def pod_trouble(group: Iterable[Object], view: View) -> Trouble | None:
    """What keeps these pods from working: what keeps one from starting, a silent node, what keeps one from
    ending, or how one ended."""
    group = list(group)
    present = [pod for pod in group if not pods.is_leaving(pod)]
    waiting = [trouble for pod in present if (trouble := _not_started(pod, view))]
    outlived = [trouble for pod in present if (trouble := outlived_trouble(pod, now=view.now))]
    final = [trouble for trouble in waiting if trouble.final]
    first = next(iter([*final, *waiting]), None) or silent_node_trouble(group)
    return first or next(iter(outlived), None) or _ended(present)


def trouble_on_node(pod: Object, view: View) -> Trouble | None:
    """What keeps a pod that has a node from starting there."""
    return (
        start_trouble(pod, settings=view.settings, now=view.now)
        or mount_trouble(pod, view)
        or sandbox_trouble(pod, view.observed.events)
    )


def next_look(group: Iterable[Object], view: View) -> datetime | None:
    """When one of these pods will have waited for too long: for a node, for its image, or for its end."""
    times = [_judged_again(pod, view) for pod in group]
    return min((time for time in times if time), default=None)


def _judged_again(pod: Object, view: View) -> datetime | None:
    waiting = start_trouble(pod, settings=view.settings, now=view.now)
    if waiting is not None:
        return waiting.wake_at
    return looked_at_again(pod, settings=view.settings, now=view.now) or judged_again(pod, now=view.now)


def _not_started(pod: Object, view: View) -> Trouble | None:
    return scheduling_trouble(pod, settings=view.settings, now=view.now) or trouble_on_node(pod, view)


def _ended(group: Iterable[Object]) -> Trouble | None:
    """How the latest pod ended, where none that came after it works."""
    latest = max(group, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)
    if latest is None:
        return None
    ended = pods.termination(latest)
    return Trouble(failure=explain(ended)) if ended and ended.exit_code else None
