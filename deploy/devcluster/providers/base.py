"""What the command needs of a provider."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from devcluster.kubectl import Kubectl


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """A cluster as a person or a script wants to know it."""

    provider: str
    running: bool
    kubeconfig: str = ""
    context: str = ""
    nodes_ready: int = 0
    nodes: int = 0
    training_operator: bool = False
    processes: tuple[str, ...] = ()


class Provider(Protocol):
    """A way to have a cluster."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    def check(self) -> None:
        """Raise where a look tells that `up` could not succeed; builds, installs and changes nothing."""

    def check_room(self) -> None:
        """Raise unless there is disk for what cluster and images still need, at the most it takes at once."""

    def prepare(self, *, with_kwok: bool) -> None:
        """Check, then build and install what `up` needs; takes long at first and changes no cluster."""

    def up(self, *, with_kwok: bool) -> None:
        """Bring the cluster up with training-operator in it, from whatever state it is in."""

    def down(self, *, keep_data: bool) -> None:
        """Take down what `up` made, and nothing else."""

    def is_running(self) -> bool:
        """Say whether the cluster answers."""

    def image(self, name: str) -> str:
        """Return the name by which the cluster's nodes get an image; raise when they could not get any."""

    def load_image(self, name: str) -> None:
        """Make an image built here available to the cluster's nodes."""

    def context(self) -> str:
        """Return the cluster's kubectl context, also where it does not run; empty where none is chosen."""

    def kubectl(self) -> Kubectl:
        """Return a kubectl that addresses the cluster."""

    def kubeconfig(self) -> Path | None:
        """Return the kubeconfig, or None where the user's own environment names it."""

    def processes(self) -> tuple[str, ...]:
        """Return the names of the programs that run for the cluster on this machine."""


def status_of(provider: Provider) -> Status:
    """Look at the cluster."""
    if not provider.is_running():
        return Status(provider=provider.name, running=False, processes=provider.processes())
    kubectl = provider.kubectl()
    ready = "{range .items[*]}{.status.conditions[?(@.type=='Ready')].status}{'\\n'}{end}"
    nodes = kubectl.attempt("get", "nodes", f"-o=jsonpath={ready}").stdout.split()
    available = "{.status.availableReplicas}"
    operator = kubectl.attempt(
        "-n", "kubeflow", "get", "deploy/training-operator", f"-o=jsonpath={available}"
    )
    return Status(
        provider=provider.name,
        running=True,
        kubeconfig=str(provider.kubeconfig() or ""),
        context=provider.context(),
        nodes_ready=nodes.count("True"),
        nodes=len(nodes),
        training_operator=operator.stdout.strip() not in ("", "0"),
        processes=provider.processes(),
    )
