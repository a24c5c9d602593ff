"""How many workers the cluster has room for. Where it is fewer than wanted, training goes on with those, and
the others are asked for again after waits that double.

Pods that wait for a node disturb nobody: a rendezvous starts with the workers that are there, and forms anew
only when one more really joins. So asking again is just a larger number in the training job. Nor do those
disturb anybody that cannot start on their node; but they keep their name, and a smaller number takes away the
workers with the highest.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from llmfinetune_operator.api.v1alpha1 import RoomStatus
from llmfinetune_operator.backends.base import JobState
from llmfinetune_operator.policies.placement import can_run, expected_pods, what_holds_workers
from llmfinetune_operator.policies.pod_troubles import trouble_on_node
from llmfinetune_operator.policies.trouble import MAX_TEXT, shorten
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.times import format_time, parse_time
from llmfinetune_trainer.config.redaction import redact

_NOTHING = RoomStatus()
REASON_SHRUNK = "InsufficientResources"
REASON_GROWN = "ResourcesAvailable"


@dataclass(frozen=True, kw_only=True)
class Room:
    """The number of workers, and what is remembered of the search for room."""

    asked: int
    """Workers that the training job asks for now."""
    placed: int = 0
    """How many of them have a node, and can start there."""
    stuck: frozenset[int] = frozenset()
    """Which of them have a node and cannot start there."""
    known: RoomStatus = _NOTHING
    is_short: bool = False
    """Whether fewer than `workers.minReplicas` have had a node for longer than they may wait."""
    reason: str | None = None
    """Why the number of workers changes in this cycle, None where it does not."""
    wake_at: datetime | None = None

    @property
    def status(self) -> RoomStatus | None:
        """What the status says of it, None where there is room for all."""
        return None if self.known == _NOTHING else self.known


def room(view: View) -> Room:
    """Judges where the workers' pods are."""
    known, now = _remembered(view), view.now
    job = view.training_job
    if view.is_paused:
        return Room(asked=view.replicas)
    retry_at = parse_time(known.retry_time)
    asked, wake_at = view.replicas, None
    if known.limit is not None and retry_at is not None and now < retry_at:
        asked, wake_at = max(known.limit, view.spec.workers.min_replicas), retry_at
    if job is None or view.is_outdated or view.backend.state(job) is not JobState.ACTIVE:
        return Room(asked=asked, known=known.model_copy(update={"waiting_since": None}))
    workers = expected_pods(view, asked)
    found = Room(
        asked=asked,
        placed=sum(can_run(pod, view) for pod in workers.values()),
        stuck=frozenset(index for index, pod in workers.items() if trouble_on_node(pod, view)),
        known=known,
        wake_at=wake_at,
    )
    return _all_placed(view, found) if found.placed == asked else _waiting(view, found)


def _all_placed(view: View, found: Room) -> Room:
    """Every worker that is asked for has a node; if that is all that are wanted, nothing is remembered."""
    if found.asked < view.replicas:
        return replace(found, known=found.known.model_copy(update={"waiting_since": None}))
    reason = REASON_GROWN if found.known.limit is not None else None
    return replace(found, known=_NOTHING, reason=reason)


def _waiting(view: View, found: Room) -> Room:
    is_short = found.placed < view.spec.workers.min_replicas
    if not is_short and _fewest(found) == found.asked:  # there is nothing to gain by asking for fewer
        return replace(found, known=found.known.model_copy(update={"waiting_since": None}))
    since = found.known.waiting_since or format_time(view.now)
    due = (parse_time(since) or view.now) + view.spec.workers.scheduling_timeout_span
    if view.now < due:
        known = found.known.model_copy(update={"waiting_since": since})
        return replace(found, known=known, wake_at=min(due, found.wake_at or due))
    if is_short or view.queue is not None:  # a queue admits a job for one number of workers only
        known = found.known.model_copy(update={"waiting_since": since})
        return replace(found, known=known, is_short=is_short)
    return _limited(view, found)


def _limited(view: View, found: Room) -> Room:
    """It has lasted: go on with those that have a node, and say when the others are tried again."""
    before, asked = found.known.limit or view.replicas, _fewest(found)
    grown = found.known.limit is not None and asked > before
    retries = 0 if grown else found.known.retries
    retry_at = view.now + _delay(view, retries)
    known = RoomStatus(
        limit=asked,
        retry_time=format_time(retry_at),
        retries=retries + 1,
        message=shorten(redact(what_holds_workers(view, found.asked)), MAX_TEXT),
    )
    reason = REASON_GROWN if grown else REASON_SHRUNK if asked < before else None
    return Room(
        asked=asked,
        placed=found.placed,
        stuck=frozenset(index for index in found.stuck if index < asked),
        known=known,
        reason=reason,
        wake_at=parse_time(known.retry_time),
    )


def _fewest(found: Room) -> int:
    """The least number to ask for that leaves a place for each worker that can run."""
    places = [index for index in range(found.asked) if index not in found.stuck]
    return places[found.placed - 1] + 1 if found.placed else 0


def _delay(view: View, retries: int) -> timedelta:
    seconds = view.settings.room_retry_seconds * 2.0 ** min(retries, 30)
    return timedelta(seconds=min(seconds, view.settings.room_retry_max_seconds))


def _remembered(view: View) -> RoomStatus:
    """What was found before, as long as as many workers are wanted as then."""
    known = view.previous.workers
    if known is None or known.room is None or known.desired != view.replicas:
        return _NOTHING
    # In a queue the number of workers is the one that was admitted, and no other.
    return known.room if view.queue is None else RoomStatus(waiting_since=known.room.waiting_since)
