"""The training operator's webhook is away for a while, as when it restarts: it is said, and heals."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.api.admission import REGISTRATION, AdmissionServer
from tests.api.client import Client
from tests.api.operator.conftest import operators
from tests.api.operator.process import OperatorProcess
from tests.api.operator.test_room import condition
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]
WEBHOOKS = f"{REGISTRATION}/validatingwebhookconfigurations"


@pytest.fixture(scope="module")
def operator(
    operator_kubeconfig: Path, training_api: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator that soon offers again what was refused."""
    with operators(operator_kubeconfig, tmp_path_factory.mktemp("operator")) as start:
        yield start(env={"LLMFINETUNE_REFUSED_RETRY_SECONDS": "2"})


class Webhook:
    """Registered for the PyTorchJobs of one namespace; nobody answers until `answer`."""

    def __init__(self, client: Client, namespace: str, folder: Path, stack: ExitStack) -> None:
        self._server = AdmissionServer(folder, lambda _path, _request: {"allowed": True})
        self._client, self._name, self._stack = client, namespace, stack
        rule = {
            "apiGroups": ["kubeflow.org"],
            "apiVersions": ["v1"],
            "resources": ["pytorchjobs"],
            "operations": ["CREATE", "UPDATE"],
        }
        webhook = {
            "name": "validator.pytorchjob.example.com",
            "clientConfig": self._server.client_config(),
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail",
        }
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": namespace},
            "webhooks": [webhook],
        }
        answer = client.request("POST", WEBHOOKS, body)
        assert answer.status == 201, answer.body
        stack.callback(self.remove)

    def answer(self) -> None:
        """Begin to answer."""
        self._stack.enter_context(self._server)

    def remove(self) -> None:
        """Take the registration back."""
        self._client.request("DELETE", f"{WEBHOOKS}/{self._name}")


@pytest.fixture
def webhook(client: Client, world: World, tmp_path: Path) -> Iterator[Webhook]:
    with ExitStack() as stack:
        yield Webhook(client, world.namespace, tmp_path, stack)


@pytest.mark.parametrize(
    "heal",
    [pytest.param(Webhook.answer, id="it answers"), pytest.param(Webhook.remove, id="it is uninstalled")],
)
def test_an_absent_webhook_is_told_and_waited_for(
    operator: OperatorProcess, world: World, webhook: Webhook, heal: Callable[[Webhook], None]
) -> None:
    world.create()
    world.finish_prepare()
    world.until(lambda: condition(world, "Training").get("reason") == "ApplyRefused")
    assert condition(world, "Training")["status"] == "False"
    assert "failed calling webhook" in condition(world, "Training")["message"]
    failure = world.status()["failure"]
    assert failure["retryable"]
    assert "tried again by itself" in failure["hint"]
    assert world.get("pytorchjobs", "medical") is None
    heal(webhook)
    world.until(lambda: world.get("pytorchjobs", "medical"))
    world.until(lambda: "failure" not in world.status())
