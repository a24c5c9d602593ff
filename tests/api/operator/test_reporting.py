"""Progress over the real chain: a token of the API server's, bound to a pod, over TLS, into the status."""

import http.client
import json
import ssl
from typing import Any

import pytest

from tests.api.client import Json
from tests.api.operator.process import OperatorProcess, eventually
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]
AUDIENCE = "progress.llmfinetune.dev"
HOST = "llmfinetune-operator.llmfinetune-system.svc"


def token_of(world: World, pod: Json, *, audience: str = AUDIENCE, account: str = "") -> str:
    """Return a token as the kubelet mounts it into the pod."""
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod['metadata']['name']}")
    uid = f"--bound-object-uid={pod['metadata']['uid']}"
    account = account or pod["spec"]["serviceAccountName"]
    return world.kubectl(
        "-n", world.namespace, "create", "token", account, f"--audience={audience}", *bound, uid
    ).strip()


def post(operator: OperatorProcess, world: World, token: str, report: Any, *, name: str = "medical") -> int:
    """Send a report as a trainer does: trusting only the certificates in its ConfigMap."""
    trusted = world.get("configmaps", "medical-run")
    assert trusted is not None
    context = ssl.create_default_context(cadata=trusted["data"]["ca.crt"])
    connection = http.client.HTTPSConnection("localhost", operator.progress_port, context=context, timeout=10)
    path = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{world.namespace}/trainjobs/{name}/status"
    try:
        connection.request("POST", path, json.dumps(report), {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def attempt_of(pod: Json) -> str:
    environment = {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0]["env"]}
    return str(environment["LLMFINETUNE_ATTEMPT"])


def report_of(pod: Json, **said: Any) -> Json:
    return {"llmfinetune": {"attempt": attempt_of(pod), "phase": "Preparing", **said}}


@pytest.fixture
def pod(operator: OperatorProcess, world: World) -> Json:
    world.create()
    return world.pod_of_prepare()


def accepted(operator: OperatorProcess, world: World, token: str, report: Json) -> None:
    """Send until the operator knows the pod, as a trainer does."""
    eventually(lambda: post(operator, world, token, report) == 200, timeout=5, interval=0.3)


def test_a_report_reaches_the_metrics_of_the_operator(
    operator: OperatorProcess, world: World, pod: Json
) -> None:
    accepted(operator, world, token_of(world, pod), report_of(pod, step=3))
    assert operator.samples("llmfinetune_operator_reports_total")["accepted"] >= 1


def test_another_pod_s_token_is_forbidden(operator: OperatorProcess, world: World, pod: Json) -> None:
    world.create("legal")
    other = world.pod_of_prepare("legal")
    accepted(operator, world, token_of(world, pod), report_of(pod))
    assert post(operator, world, token_of(world, other), report_of(pod)) == 403


def test_a_token_for_the_api_server_is_not_accepted(
    operator: OperatorProcess, world: World, pod: Json
) -> None:
    token = token_of(world, pod, audience="https://kubernetes.default.svc.cluster.local")
    assert post(operator, world, token, report_of(pod)) == 401


def test_a_made_up_token_is_not_accepted(operator: OperatorProcess, world: World, pod: Json) -> None:
    assert post(operator, world, "made.up.token", report_of(pod)) == 401


def test_a_report_of_a_former_attempt_changes_nothing(
    operator: OperatorProcess, world: World, pod: Json
) -> None:
    token = token_of(world, pod)
    accepted(operator, world, token, report_of(pod))
    before = world.settled(quiet=1.5)
    stale = {"llmfinetune": {"attempt": "gone-0", "phase": "Training", "step": 9, "loss": 1.0}}
    assert post(operator, world, token, stale) == 200
    assert world.settled(quiet=1.5) == before
