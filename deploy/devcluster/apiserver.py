"""A real API server for tests: etcd, kube-apiserver and, on wish, kube-controller-manager.

It has no nodes, so nothing runs on it, but schema validation, CEL rules, defaulting, server-side apply,
RBAC, tokens and (with the controller manager) garbage collection and namespaces are the real ones. Several
run side by side, each in a folder and on ports of its own, and all ends with the process that started it.

    with ApiServer() as server:
        use(server.kubeconfig)
"""

import os
import shutil
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from devcluster.apiclient import ApiClient
from devcluster.components import API_SERVER_ONLY, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBECTL
from devcluster.controlplane import (
    ENVIRONMENT,
    ControlPlane,
    apiserver_command,
    controller_manager_command,
    etcd_command,
)
from devcluster.errors import DevClusterError
from devcluster.gobuild import GoBuilder
from devcluster.kubeconfig import write_kubeconfig
from devcluster.layout import Layout
from devcluster.packages import ETCD, ensure_packages
from devcluster.processes import Process, start
from devcluster.progress import Progress
from devcluster.waiting import wait_until

READY_SECONDS = 90.0
PREFIX = "llmfinetune-api-"
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - the data of a test server is meant to be volatile


class ApiServer:
    """Starts on `start()` or on entering the context; stops on `stop()` or on leaving it."""

    def __init__(self, *, with_controller_manager: bool = True, layout: Layout | None = None) -> None:
        self._with_controller_manager = with_controller_manager
        self._layout = layout or Layout.from_environment()
        self._builder = GoBuilder(self._layout)
        self._processes: dict[str, Process] = {}
        self._folder = Path()

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of a cluster administrator."""
        return self._folder / "kubeconfig"

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return self._plane.url

    @property
    def kubectl(self) -> Path:
        """The kubectl of the same version."""
        return self._builder.path(KUBECTL)

    @property
    def logs(self) -> Path:
        """Folder with one log file a component."""
        return self._folder / "logs"

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by the component's name, for those who measure them."""
        return {name: process.pid for name, process in self._processes.items()}

    def start(self) -> Self:
        """Build what is missing, start, and return when requests are served."""
        prepare(self._layout)
        parent = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
        remove_abandoned(parent or Path(tempfile.gettempdir()))
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
        try:
            self._plane = free_plane(self._folder)
            self._issue_certificates()
            self._start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def restart(self) -> None:
        """End kube-apiserver and start it again at the same address over the same data."""
        self._processes.pop("kube-apiserver").stop(timeout=1.0)
        self._start_apiserver()

    def stop(self) -> None:
        """End everything and remove the folder."""
        for process in reversed(self._processes.values()):
            process.kill()
        self._processes.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _issue_certificates(self) -> None:
        authority = self._plane.authority
        authority.ensure()
        authority.service_account_key()
        self._serving = authority.issue("apiserver", "/CN=kube-apiserver", self._plane.certificate_names())
        self._admin = authority.issue("admin", "/O=system:masters/CN=admin")
        write_kubeconfig(
            self.kubeconfig, server=self.url, authority=authority.certificate, client=self._admin
        )
        self._client = ApiClient(self.url, authority.certificate, self._admin)

    def _start_all(self) -> None:
        etcd = ensure_packages([ETCD])[ETCD.name]
        self._run("etcd", etcd_command(etcd, self._plane))
        self._start_apiserver()
        if self._with_controller_manager:
            binary = self._builder.path(KUBE_CONTROLLER_MANAGER)
            self._run(
                "kube-controller-manager", controller_manager_command(binary, self._plane, self.kubeconfig)
            )
            self._wait("the default service account", "/api/v1/namespaces/default/serviceaccounts/default")

    def _start_apiserver(self) -> None:
        binary = self._builder.path(KUBE_APISERVER)
        self._run("kube-apiserver", apiserver_command(binary, self._plane, self._serving, self._admin))
        self._wait("kube-apiserver is ready", "/readyz")
        self._wait("the default namespace", "/api/v1/namespaces/default")

    def _run(self, name: str, command: list[str | Path]) -> None:
        log = self.logs / f"{name}.log"
        self._processes[name] = start(name, command, log=log, env=ENVIRONMENT, tied=True)

    def _wait(self, what: str, path: str) -> None:
        wait_until(
            what,
            lambda: self._client.exists(path),
            timeout=READY_SECONDS,
            interval=0.05,
            check=self._raise_if_ended,
        )

    def _raise_if_ended(self) -> None:
        for name, process in self._processes.items():
            if not process.is_alive():
                log = (self.logs / f"{name}.log").read_text(errors="replace")
                raise DevClusterError(f"{name} ended at once:\n{log[-2000:]}")


def prepare(layout: Layout) -> None:
    """Build and install what a test server needs, once a machine."""
    ensure_packages([ETCD])
    GoBuilder(layout).ensure(API_SERVER_ONLY, Progress(len(API_SERVER_ONLY)))


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of servers whose owner was killed before it could."""
    for folder in parent.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


def free_plane(folder: Path) -> ControlPlane:
    """Return a control plane on loopback ports that nobody uses."""
    port, etcd_port, etcd_peer_port = free_ports(3)
    return ControlPlane(
        folder=folder,
        address="127.0.0.1",
        port=port,
        etcd_port=etcd_port,
        etcd_peer_port=etcd_peer_port,
        service_cidr="10.218.0.0/16",
        service_address="10.218.0.1",
    )


def free_ports(count: int) -> list[int]:
    """Return that many different free ports; held together while they are chosen, so that none repeats."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
