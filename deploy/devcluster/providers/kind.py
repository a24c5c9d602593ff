"""The provider that lets `kind` run a cluster in Docker."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from devcluster import docker
from devcluster.command import find_tool, run, run_unchecked
from devcluster.disk import require_free
from devcluster.errors import DevClusterError, MissingRequirementError
from devcluster.gobuild import GoBuilder, check_go
from devcluster.images.build import NEEDED_GB, require_image_room
from devcluster.kubectl import Kubectl, kubectl_program, require_kubernetes
from devcluster.layout import Layout
from devcluster.progress import Progress
from devcluster.training_operator import TrainingOperator
from devcluster.versions import major_minor
from devcluster.waiting import wait_until

CLUSTER = "llmfinetune-dev"
CONTEXT = f"kind-{CLUSTER}"
NODE = f"{CLUSTER}-control-plane"
KIND_HINT = "install kind 0.24 or newer (https://kind.sigs.k8s.io), or use --provider embedded"
MINIMUM_KIND = (0, 24)
"""The first whose clusters are of Kubernetes 1.31, unless another node image is asked for."""
NODE_GB = 14.0
"""What the node takes of Docker's disk: its own image, and ours both packed and unpacked."""
START_SECONDS = 120.0
IMAGE_VARIABLE = "LLMFINETUNE_KIND_IMAGE"
"""Names a node image to take instead of kind's own: a mirror's, another version's, one built here."""


def kind_is_usable() -> bool:
    """Say whether kind and a Docker daemon are there."""
    return shutil.which("kind") is not None and docker.docker_answers()


@dataclass(frozen=True, slots=True)
class KindProvider:
    """Makes, finds and deletes one kind cluster of a fixed name."""

    layout: Layout
    name: str = "kind"

    def check(self) -> None:
        """Look for kind, Docker and Go, with which training-operator's manifests are fetched."""
        find_tool("kind", hint=KIND_HINT)
        version = run(["kind", "version"]).strip()
        if major_minor(version) < MINIMUM_KIND:
            raise MissingRequirementError(f"{version} is too old", hint=KIND_HINT)
        if not docker.docker_answers():
            raise MissingRequirementError(
                "no Docker daemon answers", hint="start Docker, or use --provider embedded"
            )
        check_go()

    def check_room(self) -> None:
        """Look at Docker's disk; the archive that an image becomes on its way lies in the cache."""
        node = 0.0 if self._is_listed() else NODE_GB
        require_image_room(NEEDED_GB, self.layout, with_docker=True, beside=node)

    def prepare(self, *, with_kwok: bool) -> None:
        """Refuse what this provider does not have."""
        if with_kwok:
            raise DevClusterError(
                "KWOK comes with the embedded provider only", hint="--provider embedded --with kwok"
            )
        self.check()

    def up(self, *, with_kwok: bool) -> None:
        """Start the cluster unless it answers, and install training-operator."""
        progress = Progress(2)
        with progress.step("starting the kind cluster"):
            if not self.is_running():
                self._start(progress)
        require_kubernetes(self.kubectl(), hint="`make cluster-down` deletes it, and `up` makes a new one")
        with progress.step("installing training-operator"):
            TrainingOperator(GoBuilder(self.layout), self.kubectl()).install(local_image=False)

    def down(self, *, keep_data: bool) -> None:
        """Delete the cluster."""
        if keep_data:
            raise DevClusterError("kind keeps no data of a deleted cluster", hint="leave out --keep-data")
        self._kind("delete", "cluster")
        self.layout.kubeconfig.unlink(missing_ok=True)

    def is_running(self) -> bool:
        """Say whether the cluster is there and answers."""
        return self._is_listed() and self.kubectl().is_answered()

    def image(self, name: str) -> str:
        """Return the name itself: the node has what was loaded."""
        return name

    def load_image(self, name: str) -> None:
        """Copy an image of the Docker daemon into the node, by way of an archive."""
        folder = self.layout.archives
        shutil.rmtree(folder, ignore_errors=True)
        require_free(folder, docker.image_gigabytes(name))
        folder.mkdir(parents=True)
        try:
            run(["kind", "load", "docker-image", name, "--name", CLUSTER], env={"TMPDIR": str(folder)})
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def context(self) -> str:
        """Return the context that kind gives the cluster."""
        return CONTEXT

    def kubectl(self) -> Kubectl:
        """Return kubectl for the cluster's own kubeconfig."""
        return Kubectl(kubectl_program(self.layout), self.layout.kubeconfig, CONTEXT)

    def kubeconfig(self) -> Path | None:
        """Return the cluster's kubeconfig."""
        return self.layout.kubeconfig

    def processes(self) -> tuple[str, ...]:
        """Return nothing: Docker keeps the processes."""
        return ()

    def _is_listed(self) -> bool:
        return CLUSTER in run_unchecked(["kind", "get", "clusters"]).stdout.split()

    def _start(self, progress: Progress) -> None:
        if self._is_listed():
            if self._comes_back():
                return
            progress.note("the kind cluster that is there does not answer any more: it is made anew")
            self._kind("delete", "cluster")
        image = os.environ.get(IMAGE_VARIABLE, "")
        self._kind("create", "cluster", "--wait=180s", *([f"--image={image}"] if image else []))

    def _comes_back(self) -> bool:
        """Start a node that was stopped, write the kubeconfig again, and say whether that was all it took."""
        try:
            run(["docker", "start", NODE])
            self._kind("export", "kubeconfig")
            wait_until("the cluster answers", self.kubectl().is_answered, timeout=START_SECONDS, interval=1.0)
        except DevClusterError:
            return False
        return True

    def _kind(self, *arguments: str) -> None:
        self.layout.state.mkdir(parents=True, exist_ok=True)
        run(["kind", *arguments, "--name", CLUSTER, "--kubeconfig", self.layout.kubeconfig])
