"""Waits for a pod, and says meanwhile what it waits for: on a fresh node it first pulls gigabytes."""

import time
from collections.abc import Sequence

from demo.kubectl import Namespace, Object
from devcluster.errors import NotReadyInTimeError

READY = "condition=Ready"
SUCCEEDED = "jsonpath={.status.phase}=Succeeded"
TIMEOUT = 1200.0
NEWS_SECONDS = 15


def wait_for_pod(namespace: Namespace, name: str, condition: str, *, timeout: float = TIMEOUT) -> None:
    """Returns when a pod is `READY`, or has `SUCCEEDED`; prints at times what it waits for.

    Raises:
        NotReadyInTimeError: it ended otherwise, or took too long; the message says what it waited for.
    """
    deadline, shown = time.monotonic() + timeout, ""
    while not _holds(namespace, name, condition):
        pod = namespace.get("pod", name)
        events = namespace.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
        reason = why(pod, events)
        ended = _phase(pod) in {"Succeeded", "Failed"}
        if ended or time.monotonic() > deadline:
            what = "ended" if ended else f"still waits after {timeout:.0f} s"
            raise NotReadyInTimeError(
                f"pod {name} {what}: {reason}", hint=f"kubectl -n {namespace.name} describe pod {name}"
            )
        if reason != shown:
            print(f"pod {name}: {reason}", flush=True)
            shown = reason


def why(pod: Object, events: Sequence[Object]) -> str:
    """Returns what a pod waits for: the words of its scheduler, its containers and its last event."""
    status = pod.get("status", {})
    unscheduled = [
        c for c in status.get("conditions", []) if c["type"] == "PodScheduled" and c["status"] == "False"
    ]
    states = [container["state"] for container in status.get("containerStatuses", [])]
    halted = [s for state in states for kind, s in state.items() if kind in {"waiting", "terminated"}]
    latest = sorted(events, key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "")[-1:]
    told = [_told(each) for each in (*unscheduled, *halted, *latest)]
    return "; ".join(dict.fromkeys(told)) or f"phase {_phase(pod)}"


def _holds(namespace: Namespace, name: str, condition: str) -> bool:
    wait = ("wait", f"--for={condition}", f"pod/{name}", f"--timeout={NEWS_SECONDS}s")
    result = namespace.kubectl.attempt("--namespace", namespace.name, *wait, timeout=NEWS_SECONDS + 30)
    return result.returncode == 0


def _told(thing: Object) -> str:
    return ": ".join(thing[key] for key in ("reason", "message") if thing.get(key))


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))
