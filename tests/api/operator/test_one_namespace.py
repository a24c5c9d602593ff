"""An operator for one namespace, with the rights of deploy/kustomize/overlays/namespaced and no other."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.apiserver import ApiServer
from tests.api.client import Client, Kubectl
from tests.api.conftest import CRD_FILE
from tests.api.operator.conftest import install_training_api, operators
from tests.api.operator.process import eventually
from tests.api.operator.rights import SYSTEM, install_rights
from tests.api.operator.test_children import AT_FIRST
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]
NAMESPACE = "llmfinetune"


@pytest.fixture
def server(api_server: ApiServer) -> Iterator[ApiServer]:
    """A server of its own: elsewhere in this session the operator's ServiceAccount may do more."""
    with ApiServer() as server:
        yield server


@pytest.fixture
def kubectl(server: ApiServer, training_crd: Path) -> Kubectl:
    kubectl = Kubectl(server.kubectl, server.kubeconfig)
    kubectl("apply", "--server-side", "-f", str(CRD_FILE))
    eventually(lambda: kubectl.run("get", "llmfinetunes").returncode == 0)
    install_training_api(kubectl, training_crd)
    return kubectl


@pytest.fixture
def kubeconfig(kubectl: Kubectl, tmp_path: Path) -> Path:
    """What the overlay gives to the operator, and nothing else."""
    return install_rights(kubectl, "overlays/namespaced", tmp_path / "kubeconfig")


def test_it_does_all_its_work_there_and_sees_nothing_elsewhere(
    server: ApiServer, kubectl: Kubectl, kubeconfig: Path, tmp_path: Path
) -> None:
    client = Client(server.kubeconfig, tmp_path)
    there = World(client, kubectl, NAMESPACE, is_new=False)
    elsewhere = World(client, kubectl)
    assert allowed(kubectl, elsewhere.namespace) == []
    with operators(kubeconfig, tmp_path) as start:
        operator = start(f"--namespace={NAMESPACE}")
        elsewhere.create()
        there.create()
        there.until(lambda: there.children().keys() == AT_FIRST)
        there.finish_prepare()
        there.until(lambda: there.get("pytorchjobs", "medical"))
        there.delete("jobs", "medical-prepare")
        there.until(lambda: there.status().get("phase"))
        before = there.settled()
        writes = operator.num_writes()
        assert there.settled(quiet=3.0) == before
        assert operator.num_writes() == writes
        assert elsewhere.children() == {}
        assert elsewhere.status() == {}


def allowed(kubectl: Kubectl, namespace: str) -> list[str]:
    """Return what the operator may do to the children of fine-tunes of another namespace."""
    account = f"system:serviceaccount:{SYSTEM}:llmfinetune-operator"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = kubectl(
        "create",
        "--raw",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        "-f",
        "-",
        f"--as={account}",
        stdin=json.dumps(review),
    )
    rules = json.loads(answer)["status"]["resourceRules"]
    kinds = {
        "configmaps",
        "jobs",
        "pods",
        "llmfinetunes",
        "llmfinetunes/status",
        "serviceaccounts",
        "secrets",
    }
    return sorted(kinds & {resource for rule in rules for resource in rule["resources"]})
