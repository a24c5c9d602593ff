"""Brings the embedded cluster up and takes it down, from whatever state an earlier run left behind."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from devcluster.command import run_unchecked
from devcluster.components import CLUSTER, KUBE_PROXY, KUBECTL, Component
from devcluster.disk import require_free
from devcluster.embedded import cleanup, network, preflight
from devcluster.embedded.identities import Identities
from devcluster.embedded.images import NodeImages
from devcluster.embedded.nodes import Nodes
from devcluster.embedded.objects import base_objects
from devcluster.embedded.services import Services
from devcluster.embedded.settings import EmbeddedSettings, Node
from devcluster.embedded.supervisor import Supervisor
from devcluster.errors import MissingRequirementError, NotRunningError
from devcluster.gobuild import GoBuilder
from devcluster.kubectl import Kubectl
from devcluster.packages import NODE, ensure_packages
from devcluster.processes import Registry
from devcluster.progress import Progress
from devcluster.training_operator import TrainingOperator

COLD_BUILD_GB, RUN_GB = 12.0, 3.0


@dataclass(frozen=True, slots=True)
class EmbeddedCluster:
    """One control plane and its nodes, all on this machine."""

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

    @property
    def nodes(self) -> Nodes:
        """What is done to one node at a time."""
        return Nodes(
            settings=self.settings,
            builder=self.builder,
            supervisor=self.supervisor,
            services=self.services,
            kubectl=self.kubectl,
        )

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
            self._start_nodes()
        with progress.step("installing training-operator"):
            self._install_training_operator()

    def down(self, *, keep_data: bool = False) -> None:
        """End every process of the cluster and remove all that it changed on this machine."""
        require_root()
        self.supervisor.stop_all(self.services.all())
        for node in self.settings.nodes:
            cleanup.end_pods(node)
        cleanup.remove_groups(self.settings.cgroup)
        self._remove_proxy_rules()
        network.tear_down(self.settings)
        if not keep_data:
            shutil.rmtree(self.settings.state, ignore_errors=True)

    def add_node(self) -> Node:
        """Add the second node, or start it again where it was lost; return it when it is ready."""
        node = self._second_node()
        node.folder.mkdir(parents=True, exist_ok=True)
        self.nodes.clear_leftovers(node)
        self.nodes.start(node)
        operator = TrainingOperator(self.builder, self.kubectl)
        NodeImages(node).load_missing(operator.image, operator.archive())
        return node

    def lose_node(self) -> None:
        """End the second node as a power failure would."""
        node = self._added_node()
        self.nodes.lose(node)

    def remove_node(self) -> None:
        """Drain the second node and remove all of it."""
        node = self._added_node()
        self.nodes.remove(node)

    def restart(self, name: str) -> None:
        """End one program and start it again."""
        self.supervisor.restart(name, self.services.all())

    def is_running(self) -> bool:
        """Say whether the API server's process is alive."""
        return self.supervisor.is_running("kube-apiserver")

    def has_runtime(self, node: Node) -> bool:
        """Say whether a node can take images."""
        return self.supervisor.is_running(node.program("containerd"))

    def _second_node(self) -> Node:
        require_root()
        if not self.is_running():
            raise NotRunningError("the embedded cluster does not run", hint="python3 -m devcluster up")
        return self.settings.node(2)

    def _added_node(self) -> Node:
        node = self._second_node()
        if not node.is_added:
            raise NotRunningError("there is no second node", hint="python3 -m devcluster node add")
        return node

    def _start_control_plane(self) -> None:
        for node in self.settings.nodes:
            self.nodes.clear_leftovers(node)
        network.bring_up(self.settings)
        Identities(self.settings).ensure()
        for service in self.services.control_plane():
            self.supervisor.run(service)

    def _start_nodes(self) -> None:
        self.settings.volumes.mkdir(parents=True, exist_ok=True)
        self.kubectl.apply(base_objects())
        for service in self.services.for_all_nodes():
            self.supervisor.run(service)
        for node in self.settings.nodes:
            self.nodes.start(node)

    def _install_training_operator(self) -> None:
        operator = TrainingOperator(self.builder, self.kubectl)
        for node in self.settings.nodes:
            NodeImages(node).load_missing(operator.image, operator.archive())
        operator.install(local_image=True)

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
