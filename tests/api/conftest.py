"""A real API server for all tests below, with this repository's CustomResourceDefinition installed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.apiserver import ApiServer
from devcluster.components import API_SERVER_ONLY
from devcluster.gobuild import GoBuilder
from devcluster.layout import Layout
from devcluster.packages import ETCD
from devcluster.waiting import wait_until
from tests.api.client import Client, Kubectl

CRD_FILE = Path(__file__).parents[2] / "crds/llmfinetune.dev_llmfinetunes.yaml"
REQUIRE = "LLMFINETUNE_REQUIRE_CLUSTER"


def _missing() -> list[str]:
    missing = [each.name for each in GoBuilder(Layout.from_environment()).missing(API_SERVER_ONLY)]
    return missing if ETCD.path() else [*missing, ETCD.name]


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """An API server with garbage collection and no nodes."""
    if missing := _missing():
        reason = f"{', '.join(missing)} missing: make control-plane builds them"
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with ApiServer() as server:
        yield server


@pytest.fixture(scope="session")
def kubectl(api_server: ApiServer) -> Kubectl:
    """kubectl as the administrator, once the CustomResourceDefinition is established."""
    kubectl = Kubectl(api_server.kubectl, api_server.kubeconfig)
    kubectl("apply", "--server-side", "-f", str(CRD_FILE))
    wait_until(
        "the resource is served", lambda: kubectl.run("get", "llmfinetunes").returncode == 0, timeout=30
    )
    return kubectl


@pytest.fixture(scope="session")
def client(api_server: ApiServer, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Requests as the administrator, where the bytes of request and answer matter."""
    return Client(api_server.kubeconfig, tmp_path_factory.mktemp("client"))
