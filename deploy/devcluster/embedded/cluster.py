"""Brings the embedded cluster up and takes it down, from whatever state an earlier run left behind."""

import os
import shutil
import time
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
from devcluster.embedded.services import Service, Services
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.errors import DevClusterError, MissingRequirementError, NotRunningError
from devcluster.gobuild import GoBuilder
from devcluster.kubectl import Kubectl
from devcluster.packages import NODE, ensure_packages
from devcluster.processes import Process, Registry, start
from devcluster.progress import Progress
from devcluster.training_operator import TrainingOperator
from devcluster.waiting import wait_until

READY_SECONDS = 120.0
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
    def registry(self) -> Registry:
        """The processes that run."""
        return Registry(self.settings.layout.processes)

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
        for service in reversed(self._all_services()):
            self.registry.stop(service)
        cleanup.end_pods(self.settings)
        cleanup.remove_groups(self.settings)
        self._remove_proxy_rules()
        network.tear_down(self.settings)
        if not keep_data:
            shutil.rmtree(self.settings.state, ignore_errors=True)

    def restart(self, name: str) -> None:
        """End one program and start it again."""
        services = {service.name: service for service in self._known_services()}
        if name not in services:
            raise DevClusterError(f"no component is called {name!r}", hint=f"one of: {', '.join(services)}")
        self.registry.stop(name)
        self.run_service(services[name])

    def is_running(self) -> bool:
        """Say whether the API server's process is alive."""
        return self.registry.find("kube-apiserver") is not None

    def load_archive(self, archive: Path) -> None:
        """Put an image into the node."""
        if self.registry.find("containerd") is None:
            raise NotRunningError("the embedded cluster does not run", hint="python3 -m devcluster up")
        NodeImages(self.settings).load(archive)

    def _start_control_plane(self) -> None:
        if self.registry.find("containerd") is None:
            self._clear_leftovers()
        network.bring_up(self.settings)
        Identities(self.settings).ensure()
        for service in self.services.control_plane():
            self.run_service(service)

    def _clear_leftovers(self) -> None:
        """Remove pods of a run that ended abruptly; the kubelet starts them anew from the API's state."""
        self.registry.stop("kubelet")
        cleanup.end_pods(self.settings)
        network.forget_pod_addresses(self.settings)
        shutil.rmtree(self.settings.state / "containerd-run", ignore_errors=True)

    def _start_node(self) -> None:
        cleanup.make_groups(self.settings)
        self.settings.volumes.mkdir(parents=True, exist_ok=True)
        self.run_service(self.services.container_runtime())
        self._load_missing(self.settings.pause_image, pause_archive(self.builder, self.settings))
        self.kubectl.apply(base_objects())
        for service in self.services.node():
            self.run_service(service)
        wait_until(
            "the node is ready", self._node_is_ready, timeout=READY_SECONDS, hint=self._log_hint("kubelet")
        )

    def _node_is_ready(self) -> bool:
        query = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        return self.kubectl.attempt("get", "node", self.settings.node_name, query).stdout == "True"

    def _install_training_operator(self) -> None:
        operator = TrainingOperator(self.builder, self.kubectl)
        archive = operator.archive()
        self._load_missing("docker.io/llmfinetune/training-operator:1.9.4", archive)
        operator.install(local_image=True)

    def _load_missing(self, name: str, archive: Path) -> None:
        images = NodeImages(self.settings)
        if name not in images.names():
            images.load(archive)

    def run_service(self, service: Service) -> None:
        """Start a program unless it runs, record it, and return when it is ready."""
        running = self.registry.find(service.name)
        log = self.settings.layout.logs / f"{service.name}.log"
        process = running or start(service.name, service.command(), log=log, env=service.env)
        self.registry.record(process)
        wait_until(
            f"{service.name} is ready",
            service.is_ready,
            timeout=READY_SECONDS,
            interval=0.05,
            hint=self._log_hint(service.name),
            check=lambda: self._raise_if_ended(process, log),
        )

    def _raise_if_ended(self, process: Process, log: Path) -> None:
        if not process.is_alive():
            time.sleep(0.1)
            last = log.read_text(errors="replace")[-3000:]
            raise DevClusterError(f"{process.name} ended:\n{last}", hint=self._log_hint(process.name))

    def _log_hint(self, name: str) -> str:
        return f"python3 -m devcluster logs {name}"

    def _known_services(self) -> list[Service]:
        services = self.services
        return [*services.control_plane(), services.container_runtime(), *services.node()]

    def _all_services(self) -> list[str]:
        known = [service.name for service in self._known_services()]
        others = [process.name for process in self.registry.all_running() if process.name not in known]
        return [*known, *others]

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
