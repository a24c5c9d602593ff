"""A real cluster with the operator of this checkout, and in it a namespace with model and data."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo import cluster
from demo.kubectl import Namespace
from demo.objects import config_map, namespace
from demo.stack import OPERATOR_NAMESPACE, install_operator, load_model
from tests.e2e.manifests import DATA, DATA_FILES
from tests.e2e.session import Session

REPOSITORY = Path(__file__).resolve().parents[2]
KEEP = "LLMFINETUNE_KEEP_CLUSTER"


@contextmanager
def opened(name: str) -> Iterator[Session]:
    """Yields the namespace; in the end it is deleted, and the cluster taken down where this brought it up.

    Raises:
        ClusterError, DevClusterError: no cluster can be had here.
    """
    made = cluster.bring_up()
    images = cluster.load_images()
    place = Namespace(cluster.kubectl(), name)
    place.run("delete", "namespace", name, "--ignore-not-found", timeout=300)
    install_operator(place, REPOSITORY, images)
    furnish(place)
    try:
        yield Session(place, place.to(OPERATOR_NAMESPACE))
    finally:
        place.run("delete", "namespace", name, "--wait=false")
        if made and not os.environ.get(KEEP):
            cluster.take_down()


def furnish(place: Namespace) -> None:
    """Makes a namespace and puts model and data into it."""
    place.apply(namespace(place.name))
    place.apply(config_map(DATA, DATA_FILES))
    load_model(place)
