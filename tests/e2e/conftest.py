"""One real cluster with the operator for the whole session; taken down where the session brought it up."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import cluster
from demo.kubectl import Namespace
from demo.objects import config_map, namespace
from demo.stack import OPERATOR_NAMESPACE, install_operator, load_model
from devcluster.errors import DevClusterError
from tests.e2e.manifests import DATA, DATA_FILES
from tests.e2e.session import Session

REPOSITORY = Path(__file__).resolve().parents[2]
NAMESPACE = "llmfinetune-e2e"
REQUIRED = "LLMFINETUNE_REQUIRE_CLUSTER"
KEEP = "LLMFINETUNE_KEEP_CLUSTER"


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    """The test namespace of a cluster in which the operator of this checkout runs."""
    made = _cluster_or_skip()
    place = Namespace(cluster.kubectl(), NAMESPACE)
    place.run("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=300)
    place.apply(namespace(NAMESPACE))
    install_operator(place, REPOSITORY)
    place.apply(config_map(DATA, DATA_FILES))
    load_model(place)
    yield Session(place, place.to(OPERATOR_NAMESPACE))
    place.run("delete", "namespace", NAMESPACE, "--wait=false")
    if made and not os.environ.get(KEEP):
        cluster.take_down()


def _cluster_or_skip() -> bool:
    try:
        made = cluster.bring_up()
        cluster.load_images()
    except (cluster.ClusterError, DevClusterError) as error:
        if os.environ.get(REQUIRED):
            raise
        pytest.skip(f"no cluster can be had here: {error}")
    return made
