"""Brings the embedded cluster up and takes it down, from whatever state an earlier run left behind."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.command import run_unchecked
from devcluster.components import CLUSTER, KUBE_PROXY, KUBECTL, Component
from devcluster.disk import require_free
from devcluster.embedded import cleanup, network, preflight
from devcluster.embedded.identities import Identities
from devcluster.embedded.images import NodeImages, pause_archive
from devcluster.embedded.objects import base_objects
from devcluster.embedded.services import Services
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.embedded.supervisor import READY_SECONDS, Supervisor, log_hint
from devcluster.errors import MissingRequirementError
from devcluster.gobuild import GoBuilder
from devcluster.kubectl import Kubectl
from devcluster.packages import NODE, ensure_packages
from devcluster.processes import Registry
from devcluster.progress import Progress
from devcluster.training_operator import TrainingOperator
from devcluster.waiting import wait_until

COLD_BUILD_GB, RUN_GB = 12.0, 3.0


@dataclass(frozen=True, slots=True)
class EmbeddedCluster:
    """One node on this machine."""

    settings: EmbeddedSettings

    @property
    def builder(self) -> GoBuilder:
        """Builds and finds the programs."""
        return GoBuilder(self.settings.layout)

    @property
    def supervisor(self) -> Supervisor:
        """Starts and ends the programs."""
        return Supervisor(self.settings.layout)

    @property
    def registry(self) -> Registry:
        """The processes that run."""
        return self.supervisor.registry

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the cluster's administrator."""
        return Kubectl(self.builder.path(KUBECTL), self.settings.layout.kubeconfig)

    @property
    def services(self) -> Services:
        """Every program of the cluster."""
        return Services(self.settings, self.builder, Identities(self.settings))

    def prepare(self, extras: Sequence[Component] = ()) -> None:
        """Build and install what is missing, which takes minutes on a new machine."""
        require_root()
        wanted = (*CLUSTER, *extras)
        missing = self.builder.missing(wanted)
        require_free(self.settings.layout.cache, COLD_BUILD_GB if missing else RUN_GB)
        ensure_packages(NODE)
        preflight.check(self.settings)
        self.builder.ensure(wanted, Progress(len(missing)))

    def up(self) -> None:
        """Start what does not run, and return when pods can be scheduled and PyTorchJobs are served."""
        require_root()
        progress = Progress(3)
        with progress.step("starting the control plane"):
            self._start_control_plane()
        with progress.step("starting the node"):
            self._start_node()
        with progress.step("installing training-operator"):
            self._install_training_operator()

    def down(self, *, keep_data: bool = False) -> None:
        """End every process of the cluster and remove all that it changed on this machine."""
        require_root()
        self.supervisor.stop_all(self.services.all())
        cleanup.end_pods(self.settings)
        cleanup.remove_groups(self.settings)
        self._remove_proxy_rules()
        network.tear_down(self.settings)
        if not keep_data:
            shutil.rmtree(self.settings.state, ignore_errors=True)

    def restart(self, name: str) -> None:
        """End one program and start it again."""
        self.supervisor.restart(name, self.services.all())

    def is_running(self) -> bool:
        """Say whether the API server's process is alive."""
        return self.supervisor.is_running("kube-apiserver")

    def _start_control_plane(self) -> None:
        if not self.supervisor.is_running("containerd"):
            self._clear_leftovers()
        network.bring_up(self.settings)
        Identities(self.settings).ensure()
        for service in self.services.control_plane():
            self.supervisor.run(service)

    def _clear_leftovers(self) -> None:
        """Remove pods of a run that ended abruptly; the kubelet starts them anew from the API's state."""
        self.supervisor.registry.stop("kubelet")
        cleanup.end_pods(self.settings)
        network.forget_pod_addresses(self.settings)
        shutil.rmtree(self.settings.state / "containerd-run", ignore_errors=True)

    def _start_node(self) -> None:
        cleanup.make_groups(self.settings)
        self.settings.volumes.mkdir(parents=True, exist_ok=True)
        self.supervisor.run(self.services.container_runtime())
        self._load_missing(self.settings.pause_image, pause_archive(self.builder, self.settings))
        self.kubectl.apply(base_objects())
        for service in self.services.node():
            self.supervisor.run(service)
        wait_until("the node is ready", self._node_is_ready, timeout=READY_SECONDS, hint=log_hint("kubelet"))

    def _node_is_ready(self) -> bool:
        query = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        return self.kubectl.attempt("get", "node", self.settings.node_name, query).stdout == "True"

    def _install_training_operator(self) -> None:
        operator = TrainingOperator(self.builder, self.kubectl)
        self._load_missing(operator.image, operator.archive())
        operator.install(local_image=True)

    def _load_missing(self, name: str, archive: Path) -> None:
        images = NodeImages(self.settings)
        if name not in images.names():
            images.load(archive)

    def _remove_proxy_rules(self) -> None:
        binary = KUBE_PROXY.binary(self.settings.layout.binaries)
        if binary.exists():
            run_unchecked([binary, "--cleanup"], timeout=30)


def require_root() -> None:
    """Raise unless the process may change the machine's network and run containers."""
    if os.geteuid() != 0:
        raise MissingRequirementError(
            "the embedded cluster needs root: it makes a network bridge and runs containers",
            hint="run the same command with sudo -E, or use --provider kind or --provider kubeconfig",
        )
