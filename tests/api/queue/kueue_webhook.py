"""The stand-in's admission webhook: what Kueue does to a job while the API server takes it in.

This is not Kueue, which cannot be built here. It does what Kueue's webhooks for `batch/v1` Jobs and
PyTorchJobs do: a job with the label `kueue.x-k8s.io/queue-name` is suspended when it is made, and the label
is fixed while the job is not suspended.
"""

import base64
import json
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.api.admission import REGISTRATION, AdmissionServer
from tests.api.client import Client, Json

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
NAME = "kueue-stand-in"
KINDS = [("batch", "v1", "jobs"), ("kubeflow.org", "v1", "pytorchjobs")]


class Webhook:
    """Serves on loopback and is registered with the API server, as a context."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._server = AdmissionServer(folder, _judge)

    def __enter__(self) -> Self:
        self._server.__enter__()
        self._register("mutating", "Mutating", operations=["CREATE"])
        self._register("validating", "Validating", operations=["UPDATE"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for flavor in ("mutating", "validating"):
            self._client.request("DELETE", f"{REGISTRATION}/{flavor}webhookconfigurations/{NAME}")
        self._server.__exit__(kind, error, trace)

    def _register(self, flavor: str, kind: str, *, operations: list[str]) -> None:
        rules = [
            {"apiGroups": [group], "apiVersions": [version], "resources": [plural], "operations": operations}
            for group, version, plural in KINDS
        ]
        webhook = {
            "name": f"{flavor}.kueue-stand-in.example.com",
            "clientConfig": self._server.client_config(flavor),
            "rules": rules,
            "objectSelector": {"matchExpressions": [{"key": QUEUE_LABEL, "operator": "Exists"}]},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail",
        }
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": NAME},
            "webhooks": [webhook],
        }
        answer = self._client.request("POST", f"{REGISTRATION}/{flavor}webhookconfigurations", body)
        assert answer.status == 201, answer.body


def _judge(path: str, request: Json) -> Json:
    return _suspend(request) if path.startswith("/mutating") else _check(request)


def suspend_path(job: Json) -> str:
    """Where in a job it says whether it is suspended."""
    return "/spec/suspend" if job["kind"] == "Job" else "/spec/runPolicy/suspend"


def is_suspended(job: Json) -> bool:
    """Whether a job is suspended."""
    spec = job["spec"]
    return bool((spec if job["kind"] == "Job" else spec.get("runPolicy") or {}).get("suspend"))


def _suspend(request: Json) -> Json:
    job = request["object"]
    if is_suspended(job):
        return {"allowed": True}
    patch = [{"op": "add", "path": suspend_path(job), "value": True}]
    if job["kind"] != "Job" and "runPolicy" not in job["spec"]:
        patch.insert(0, {"op": "add", "path": "/spec/runPolicy", "value": {}})
    encoded = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": encoded}


def _check(request: Json) -> Json:
    before, after = (
        (request[name]["metadata"].get("labels") or {}).get(QUEUE_LABEL) for name in ("oldObject", "object")
    )
    if is_suspended(request["object"]) or before == after:
        return {"allowed": True}
    message = f"metadata.labels[{QUEUE_LABEL}]: field is immutable while the job is not suspended"
    return {"allowed": False, "status": {"code": 422, "message": message}}
