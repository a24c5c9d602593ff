"""A running cluster with both images in it, by the means of devcluster."""

from devcluster.cli import main as devcluster
from devcluster.kubectl import Kubectl
from devcluster.layout import Layout
from devcluster.providers.base import Provider
from devcluster.providers.choose import choose, provider_of, this_machine

IMAGES = ("operator", "trainer")


class ClusterError(RuntimeError):
    """A step of devcluster failed; it has said why itself."""


def chosen_provider() -> Provider:
    """Returns the provider whose cluster is meant."""
    layout = Layout.from_environment()
    return provider_of(choose("auto", this_machine(layout)).name, layout)


def bring_up() -> bool:
    """Brings up or finds a cluster; returns whether it was not running before."""
    was_running = chosen_provider().is_running()
    _step("up")
    return not was_running


def load_images() -> None:
    """Builds both images where their sources changed, and hands them to the cluster."""
    _step("build-images")
    _step("load-image", *(f"llmfinetune/{image}:dev" for image in IMAGES))


def take_down() -> None:
    """Takes the cluster down."""
    _step("down")


def kubectl() -> Kubectl:
    """Returns a kubectl that addresses the running cluster."""
    return chosen_provider().kubectl()


def _step(*arguments: str) -> None:
    code = devcluster(list(arguments))
    if code != 0:
        raise ClusterError(f"`python -m devcluster {' '.join(arguments)}` ended with exit code {code}")
