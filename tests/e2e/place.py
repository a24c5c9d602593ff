"""A real cluster with the operator of this checkout, and in it a namespace with model and data."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo import cluster
from demo.cluster import ClusterError
from demo.kubectl import Namespace
from demo.objects import config_map, namespace
from demo.stack import OPERATOR_NAMESPACE, install_operator, load_model
from devcluster.errors import DevClusterError
from tests.e2e.manifests import DATA, DATA_FILES
from tests.e2e.session import Session

REPOSITORY = Path(__file__).resolve().parents[2]
KEEP = "LLMFINETUNE_KEEP_CLUSTER"


class NoClusterError(ClusterError):
    """No cluster can be had here; nothing of ours was tried yet."""


@contextmanager
def opened(name: str) -> Iterator[Session]:
    """Yields the namespace; in the end it is deleted, and the cluster taken down where this brought it up.

    Raises:
        NoClusterError: no cluster can be had here.
        ClusterError, DevClusterError: there is one, and images, operator or model did not get into it.
    """
    with running_cluster():
        images = cluster.load_images()
        place = Namespace(cluster.kubectl(), name)
        place.run("delete", "namespace", name, "--ignore-not-found", timeout=300)
        install_operator(place, REPOSITORY, images)
        try:
            furnish(place)
            yield Session(place, place.to(OPERATOR_NAMESPACE))
        finally:
            place.run("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@contextmanager
def running_cluster() -> Iterator[None]:
    """Finds a cluster or brings one up, which is taken down again, however far it or the body came.

    Raises:
        NoClusterError: there is none, and none can be brought up.
    """
    with ExitStack() as ending:
        try:
            if not cluster.find().is_running and not os.environ.get(KEEP):
                ending.callback(cluster.take_down)
            cluster.bring_up()
        except DevClusterError as error:
            raise NoClusterError(error.with_hint) from error
        except ClusterError as error:
            raise NoClusterError(str(error)) from error
        yield


def furnish(place: Namespace) -> None:
    """Makes a namespace and puts model and data into it."""
    place.apply(namespace(place.name))
    place.apply(config_map(DATA, DATA_FILES))
    load_model(place)
