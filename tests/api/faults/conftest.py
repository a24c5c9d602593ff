"""What faults are injected into: an operator with its installed rights, behind the proxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.faults.proxy import FaultProxy
from tests.api.operator.conftest import (
    StartOperator,
    new_world,
    operator_kubeconfig,
    operators,
    training_api,
    training_crd,
    world,
)

__all__ = ["new_world", "operator_kubeconfig", "training_api", "training_crd", "world"]


@pytest.fixture
def proxy(operator_kubeconfig: Path) -> Iterator[FaultProxy]:
    """A proxy that does no harm yet."""
    with FaultProxy(operator_kubeconfig) as proxy:
        yield proxy


@pytest.fixture
def start_operator(proxy: FaultProxy, operator_kubeconfig: Path, tmp_path: Path) -> Iterator[StartOperator]:
    """Start operators that reach the API server through the proxy."""
    kubeconfig = proxy.kubeconfig(operator_kubeconfig, tmp_path / "kubeconfig")
    with operators(kubeconfig, tmp_path) as start:
        yield start
