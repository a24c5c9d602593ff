"""The provider that lets `kind` run a cluster in Docker."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from devcluster.command import find_tool, run, run_unchecked
from devcluster.components import KUBECTL
from devcluster.docker import docker_answers
from devcluster.errors import DevClusterError
from devcluster.gobuild import GoBuilder
from devcluster.kubectl import Kubectl, find_kubectl
from devcluster.layout import Layout
from devcluster.progress import Progress
from devcluster.training_operator import TrainingOperator

CLUSTER = "llmfinetune-dev"
KIND_HINT = "install kind (https://kind.sigs.k8s.io), or use --provider embedded"


def kind_is_usable() -> bool:
    """Say whether kind and a Docker daemon are there."""
    return shutil.which("kind") is not None and docker_answers()


@dataclass(frozen=True, slots=True)
class KindProvider:
    """Makes, finds and deletes one kind cluster of a fixed name."""

    layout: Layout
    name: str = "kind"

    def prepare(self, *, with_kwok: bool) -> None:
        """Refuse what this provider does not have."""
        if with_kwok:
            raise DevClusterError(
                "KWOK comes with the embedded provider only", hint="--provider embedded --with kwok"
            )

    def up(self, *, with_kwok: bool) -> None:
        """Create the cluster unless it is there, and install training-operator."""
        find_tool("kind", hint=KIND_HINT)
        progress = Progress(2)
        with progress.step("creating the kind cluster"):
            if not self.is_running():
                self._kind("create", "cluster", "--wait=180s")
            self._kind("export", "kubeconfig")
        with progress.step("installing training-operator"):
            TrainingOperator(GoBuilder(self.layout), self.kubectl()).install(local_image=False)

    def down(self, *, keep_data: bool) -> None:
        """Delete the cluster."""
        if keep_data:
            raise DevClusterError("kind keeps no data of a deleted cluster", hint="leave out --keep-data")
        self._kind("delete", "cluster")
        self.layout.kubeconfig.unlink(missing_ok=True)

    def is_running(self) -> bool:
        """Say whether kind has the cluster."""
        listed = run_unchecked(["kind", "get", "clusters"]) if shutil.which("kind") else None
        return listed is not None and CLUSTER in listed.stdout.split()

    def image(self, name: str) -> str:
        """Return the name itself: the node has what was loaded."""
        return name

    def load_image(self, name: str) -> None:
        """Copy an image of the Docker daemon into the node."""
        run(["kind", "load", "docker-image", name, "--name", CLUSTER])

    def kubectl(self) -> Kubectl:
        """Return kubectl for the cluster's own kubeconfig."""
        return Kubectl(find_kubectl() or self._built_kubectl(), self.layout.kubeconfig)

    def kubeconfig(self) -> Path | None:
        """Return the cluster's kubeconfig."""
        return self.layout.kubeconfig

    def processes(self) -> tuple[str, ...]:
        """Return nothing: Docker keeps the processes."""
        return ()

    def _kind(self, *arguments: str) -> None:
        self.layout.state.mkdir(parents=True, exist_ok=True)
        run(["kind", *arguments, "--name", CLUSTER, "--kubeconfig", self.layout.kubeconfig])

    def _built_kubectl(self) -> Path:
        builder = GoBuilder(self.layout)
        builder.ensure([KUBECTL], Progress(1))
        return builder.path(KUBECTL)
