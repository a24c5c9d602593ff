"""A running cluster with both images in it, by the means of devcluster."""

from devcluster.cli import main as devcluster
from devcluster.disk import require_free
from devcluster.kubectl import Kubectl
from devcluster.layout import Layout
from devcluster.providers.base import Provider
from devcluster.providers.choose import choose, provider_of, this_machine
from devcluster.providers.embedded import cold_start_gigabytes

IMAGES = ("llmfinetune/operator:dev", "llmfinetune/trainer:dev")


class ClusterError(RuntimeError):
    """A step of devcluster failed; it has said why itself."""


def chosen_provider() -> Provider:
    """Returns the provider whose cluster is meant."""
    layout = Layout.from_environment()
    return provider_of(choose("auto", this_machine(layout)).name, layout)


def bring_up() -> bool:
    """Brings up or finds a cluster; returns whether it was not running before.

    Raises:
        DevClusterError: its nodes could not get our images, or the disk is too small for what is still to be
            built; both are told before anything is built.
    """
    provider = chosen_provider()
    _images(provider)
    was_running = provider.is_running()
    if provider.name == "embedded":
        layout = Layout.from_environment()
        require_free(layout.cache, cold_start_gigabytes(layout))
    _step("up")
    return not was_running


def load_images() -> dict[str, str]:
    """Builds both images where sources changed, hands them to the cluster, and returns their names there."""
    _step("build-images")
    _step("load-image", *IMAGES)
    return _images(chosen_provider())


def take_down() -> None:
    """Takes the cluster down."""
    _step("down")


def kubectl() -> Kubectl:
    """Returns a kubectl that addresses the running cluster."""
    return chosen_provider().kubectl()


def _images(provider: Provider) -> dict[str, str]:
    return {image: provider.image(image) for image in IMAGES}


def _step(*arguments: str) -> None:
    code = devcluster(list(arguments))
    if code != 0:
        raise ClusterError(f"`python -m devcluster {' '.join(arguments)}` ended with exit code {code}")
