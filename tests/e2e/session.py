"""What the end-to-end tests do to a cluster and read from it."""

import json
import time
import uuid
from collections.abc import Callable
from typing import NamedTuple

from demo.follow import describe_failure
from demo.kubectl import Namespace, Object
from demo.objects import pod
from demo.stack import trainer_image

TIMEOUT = 300.0
POLL_SECONDS = 0.5


class Session(NamedTuple):
    """One namespace of a cluster in which the operator runs."""

    namespace: Namespace
    system: Namespace
    """The same cluster, in the operator's namespace."""

    def get(self, name: str) -> Object:
        """Returns a fine-tune."""
        return self.namespace.get("llmfinetune", name)

    def until(
        self, name: str, holds: Callable[[Object], bool], *, what: str, timeout: float = TIMEOUT
    ) -> Object:
        """Waits until something holds of a fine-tune and returns it; an unexpected failure ends the wait."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = self.get(name)
            if holds(found):
                return found
            if phase(found) == "Failed":
                raise AssertionError(f"{name} failed while waiting for {what}: {describe_failure(found)}")
            time.sleep(POLL_SECONDS)
        raise AssertionError(
            f"{name}: no {what} in {timeout:.0f} s; status: {json.dumps(found.get('status'), indent=1)}"
        )

    def until_step(self, name: str, step: int) -> Object:
        """Waits until a fine-tune reports at least this optimizer step."""
        return self.until(name, lambda f: reached(f) >= step, what=f"step {step}")

    def until_succeeded(self, name: str) -> Object:
        """Waits for success."""
        return self.until(name, lambda f: phase(f) == "Succeeded", what="success")

    def patch(self, name: str, spec: Object) -> None:
        """Merges a change into a fine-tune's spec."""
        self.namespace.run("patch", "llmfinetune", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def workers(self, name: str) -> list[Object]:
        """Returns the worker pods that are not being deleted."""
        selector = f"llmfinetune.dev/name={name},llmfinetune.dev/component=worker"
        pods = self.namespace.get("pods", "-l", selector)["items"]
        return [p for p in pods if "deletionTimestamp" not in p["metadata"]]

    def read(self, claim: str, path: str) -> str:
        """Returns a text file on a claim, read by a pod."""
        name = f"read-{uuid.uuid4().hex[:8]}"
        image, command = trainer_image(self.namespace), ["cat", f"/workspace/{path}"]
        self.namespace.apply(pod(name, image=image, command=command, claims={claim: "/workspace"}))
        self.namespace.run("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")
        text = self.namespace.run("logs", name)
        self.namespace.run("delete", "pod", name, "--wait=false")
        return text


def phase(fine_tune: Object) -> str:
    """Returns the phase, Pending where none is written yet."""
    return str(fine_tune.get("status", {}).get("phase", "Pending"))


def reached(fine_tune: Object) -> int:
    """Returns the reported optimizer step."""
    return int(fine_tune.get("status", {}).get("progress", {}).get("step", 0))


def condition(obj: Object, kind: str) -> Object:
    """Returns a condition; empty where there is none."""
    conditions = obj.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})
