"""What tests here start from: an API server with the stand-in for Kueue, and one operator."""

from collections.abc import Iterator

import pytest

from tests.api.client import Client
from tests.api.operator.conftest import (
    new_world,
    operator,
    operator_kubeconfig,
    training_api,
    training_crd,
    world,
)
from tests.api.queue.kueue import Kueue
from tests.api.queue.kueue_webhook import Webhook

__all__ = ["new_world", "operator", "operator_kubeconfig", "training_api", "training_crd", "world"]


@pytest.fixture(scope="module")
def webhook(
    client: Client, training_api: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Webhook]:
    """The stand-in's webhook, for all tests of a module."""
    with Webhook(client, tmp_path_factory.mktemp("webhook")) as webhook:
        yield webhook


@pytest.fixture(scope="module")
def running_kueue(client: Client, webhook: Webhook) -> Iterator[Kueue]:
    """The stand-in, for all tests of a module."""
    with Kueue(client) as kueue:
        yield kueue


@pytest.fixture
def kueue(running_kueue: Kueue) -> Kueue:
    """The stand-in, with no quota yet."""
    running_kueue.quota = 0
    running_kueue.told.clear()
    return running_kueue
