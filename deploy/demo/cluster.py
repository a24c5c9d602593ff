"""A running cluster with both images in it, by the means of devcluster."""

from typing import NamedTuple

from devcluster.cli import main as devcluster
from devcluster.gobuild import GoBuilder
from devcluster.kubectl import Kubectl
from devcluster.layout import Layout
from devcluster.providers.base import Provider
from devcluster.providers.choose import choose, provider_of, this_machine
from devcluster.training_operator import TrainingOperator

IMAGES = ("llmfinetune/operator:dev", "llmfinetune/trainer:dev")


class ClusterError(RuntimeError):
    """A step of devcluster failed; it has said why itself."""


class Found(NamedTuple):
    """The cluster that is meant, as it is before anything is done to it."""

    provider: str
    context: str
    is_running: bool
    has_training_operator: bool


def chosen_provider(wanted: str = "auto") -> Provider:
    """Returns the provider whose cluster is meant."""
    layout = Layout.from_environment()
    return provider_of(choose(wanted, this_machine(layout)).name, layout)


def find() -> Found:
    """Looks at the cluster that is meant, and whether one can be brought up where none runs.

    Raises:
        DevClusterError: none can be had here, its nodes could not get our images, or the disk is too small
            for what is still to be built; all are told before anything is built.
    """
    provider = chosen_provider()
    _images(provider)
    provider.check()
    provider.check_room()
    running = provider.is_running()
    has_operator = running and training_operator(provider).is_installed()
    return Found(provider.name, provider.context(), running, has_operator)


def bring_up() -> None:
    """Brings the cluster up with training-operator in it; does nothing where all of it runs."""
    _step("up")


def load_images() -> dict[str, str]:
    """Builds both images where sources changed, hands them to the cluster, and returns their names there."""
    _step("build-images")
    _step("load-image", *IMAGES)
    return _images(chosen_provider())


def take_down(provider: str = "auto") -> None:
    """Takes the cluster down."""
    _step("down", "--provider", provider)


def kubectl() -> Kubectl:
    """Returns a kubectl that addresses the running cluster."""
    return chosen_provider().kubectl()


def training_operator(provider: Provider) -> TrainingOperator:
    """Returns Kubeflow's operator in a provider's cluster."""
    return TrainingOperator(GoBuilder(Layout.from_environment()), provider.kubectl())


def _images(provider: Provider) -> dict[str, str]:
    return {image: provider.image(image) for image in IMAGES}


def _step(*arguments: str) -> None:
    code = devcluster(list(arguments))
    if code != 0:
        raise ClusterError(f"`python -m devcluster {' '.join(arguments)}` ended with exit code {code}")
