"""A namespace of fine-tunes: made, looked at, and its pods played, since no node runs them."""

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.api.client import Answer, Client, Json, Kubectl
from tests.api.operator.process import eventually

CORE, BATCH, KUBEFLOW = "/api/v1", "/apis/batch/v1", "/apis/kubeflow.org/v1"
LLMFINETUNE = "/apis/llmfinetune.dev/v1alpha1"
ROOTS = {
    "llmfinetunes": LLMFINETUNE,
    "jobs": BATCH,
    "pytorchjobs": KUBEFLOW,
}
CHILDREN = ("configmaps", "persistentvolumeclaims", "serviceaccounts", "jobs", "pytorchjobs")
MERGE = "application/merge-patch+json"


class World:
    """Looks at and changes one namespace as an administrator."""

    def __init__(self, client: Client, kubectl: Kubectl, namespace: str = "", *, is_new: bool = True) -> None:
        self.client = client
        self.kubectl = kubectl
        self.namespace = namespace or f"test-{uuid4().hex[:8]}"
        if is_new:
            kubectl("create", "namespace", self.namespace)

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        """Return the path of a collection, an object or a part of one."""
        parts = (ROOTS.get(plural, CORE), "namespaces", self.namespace, plural, name, subresource)
        return "/".join(part for part in parts if part)

    def get(self, plural: str, name: str) -> Json | None:
        """Return an object, None where there is none."""
        answer = self.client.request("GET", self.path(plural, name))
        return answer.body if answer.status == 200 else None

    def list(self, plural: str) -> list[Json]:
        """Return all objects of a kind."""
        try:
            answer = self.client.request("GET", self.path(plural))
        except json.JSONDecodeError:  # the server has no such group, and says so in plain text
            return []
        return list(answer.body.get("items") or ()) if answer.status == 200 else []

    def children(self) -> dict[str, Json]:
        """Return every object that belongs to a fine-tune, as `plural/name`."""
        return {
            f"{plural}/{each['metadata']['name']}": each
            for plural in CHILDREN
            for each in self.list(plural)
            if "llmfinetune.dev/name" in each["metadata"].get("labels", {})
        }

    def versions(self) -> dict[str, str]:
        """Return the resourceVersion of everything that the operator writes."""
        everything = {
            **self.children(),
            **{each["metadata"]["name"]: each for each in self.list("llmfinetunes")},
        }
        return {name: each["metadata"]["resourceVersion"] for name, each in everything.items()}

    def create(self, name: str = "medical", **spec: Any) -> Json:
        """Create a fine-tune."""
        body = {
            "apiVersion": "llmfinetune.dev/v1alpha1",
            "kind": "LLMFineTune",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "model": {"source": "hf://owner/model"},
                "dataset": {"source": "hf://owner/data"},
                "method": {"lora": {}},
                "workers": {"replicas": 1, "minReplicas": 1, "maxReplicas": 4},
                **spec,
            },
        }
        answer = self.client.request("POST", self.path("llmfinetunes"), body)
        assert answer.status == 201, answer.body
        return answer.body

    def patch(self, plural: str, name: str, body: Json, subresource: str = "") -> Answer:
        """Merge `body` into an object, or into its status or scale."""
        answer = self.client.request("PATCH", self.path(plural, name, subresource), body, content_type=MERGE)
        assert answer.status == 200, answer.body
        return answer

    def delete(self, plural: str, name: str) -> None:
        """Delete an object."""
        options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
        answer = self.client.request("DELETE", self.path(plural, name), options)
        assert answer.status in (200, 202), answer.body

    def status(self, name: str = "medical") -> Json:
        """Return a fine-tune's status."""
        found = self.get("llmfinetunes", name)
        return dict((found or {}).get("status") or {})

    def until(self, look: Callable[[], Any], *, timeout: float = 120.0) -> Any:
        """Wait until `look` finds something; when it does not, say what there was instead."""
        try:
            return eventually(look, timeout=timeout)
        except AssertionError as error:
            state = {
                "status": [each.get("status") for each in self.list("llmfinetunes")],
                "there": self.versions(),
            }
            raise AssertionError(f"{error}\n{json.dumps(state, indent=1)}") from error

    def settled(self, *, quiet: float = 3.0, timeout: float = 60.0) -> dict[str, str]:
        """Return the versions of everything once they have stayed the same for `quiet` seconds."""
        give_up_at, since, known = time.monotonic() + timeout, time.monotonic(), self.versions()
        while time.monotonic() - since < quiet:
            assert time.monotonic() < give_up_at, f"never quiet: {known}"
            time.sleep(0.2)
            if (now := self.versions()) != known:
                since, known = time.monotonic(), now
        return known

    def pod_of_prepare(self, name: str = "medical") -> Json:
        """Return the pod that the Job controller made for the prepare Job."""
        selector = {"llmfinetune.dev/name": name, "llmfinetune.dev/component": "prepare"}
        found: Json = self.until(
            lambda: next(
                (
                    each
                    for each in self.list("pods")
                    if selector.items() <= each["metadata"]["labels"].items()
                ),
                None,
            )
        )
        return found

    def training_job(self, **spec: Any) -> Json:
        """Create a fine-tune, play its preparation, and return the training job."""
        self.create(**spec)
        self.finish_prepare()
        found: Json = self.until(lambda: self.get("pytorchjobs", "medical"))
        return found

    def add_worker(self, job: Json, index: int = 0, **spec: Any) -> Json:
        """Play the training operator: make a worker's pod from the job's template and `spec`."""
        template = job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]
        owner = {"apiVersion": job["apiVersion"], "kind": job["kind"], "controller": True}
        metadata = {
            "name": f"medical-worker-{index}",
            "labels": {
                **template["metadata"]["labels"],
                "training.kubeflow.org/job-name": "medical",
                "training.kubeflow.org/replica-type": "worker",
                "training.kubeflow.org/replica-index": str(index),
            },
            "ownerReferences": [{**owner, "name": "medical", "uid": job["metadata"]["uid"]}],
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] | spec}
        answer = self.client.request("POST", self.path("pods"), body)
        assert answer.status == 201, answer.body
        return answer.body

    def finish_pod(self, pod: Json, *, exit_code: int = 0, message: Json | None = None) -> None:
        """Play the kubelet: the pod's only container has ended."""
        terminated = {"exitCode": exit_code, "reason": "Completed" if exit_code == 0 else "Error"}
        if message is not None:
            terminated["message"] = json.dumps(message)
        container = {
            **{"name": pod["spec"]["containers"][0]["name"], "image": "i", "imageID": "i", "restartCount": 0},
            "ready": False,
            "state": {"terminated": terminated},
        }
        phase = "Succeeded" if exit_code == 0 else "Failed"
        body = {"status": {"phase": phase, "containerStatuses": [container]}}
        self.patch("pods", pod["metadata"]["name"], body, "status")

    def finish_prepare(self, name: str = "medical") -> None:
        """Play a preparation that went well."""
        facts = {"rows": 8, "tokens": 900, "supervisedTokens": 500, "digest": f"sha256:{'0' * 64}"}
        pod = self.pod_of_prepare(name)
        attempt = next(
            each["value"]
            for each in pod["spec"]["containers"][0]["env"]
            if each["name"] == "LLMFINETUNE_ATTEMPT"
        )
        self.finish_pod(pod, message={"attempt": attempt, "dataset": facts})
