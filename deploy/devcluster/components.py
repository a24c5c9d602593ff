"""What is built from Go modules: name, version, command and recipe of every component.

A component's folder under `go/` holds its go.mod and go.sum, which pin everything else.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.errors import DevClusterError

SOURCES = Path(__file__).parent / "go"
KUBERNETES_VERSION = "1.34.4"
KUBERNETES_TAGS = ("selinux", "notest", "grpcnotrace")
KUBERNETES_VARIABLES = {
    "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES_VERSION}",
    "k8s.io/component-base/version.gitMajor": "1",
    "k8s.io/component-base/version.gitMinor": "34",
    "k8s.io/component-base/version.gitTreeState": "clean",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """One Go program and how it is built."""

    name: str
    version: str
    folder: str
    """Folder under `go/` with the go.mod and go.sum."""
    package: str
    """Import path of the main package."""
    cold_seconds: int
    """About how long a first build takes on two cores, for the person who waits."""
    tags: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    """Variables set by the linker, such as the version that the program reports."""
    module: str = ""
    """Module whose own files (manifests) are needed as well, if any."""

    @property
    def source(self) -> Path:
        """Folder with the go.mod."""
        return SOURCES / self.folder

    @property
    def linker_flags(self) -> str:
        """Flags for the linker: no debug information, versions set."""
        return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in self.variables.items())])

    @property
    def recipe_digest(self) -> str:
        """Digest of all that decides how the program comes out, so that a cached one is never stale."""
        digest = hashlib.sha256()
        for path in sorted(self.source.glob("*")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        digest.update("\0".join([self.package, self.linker_flags, *self.tags]).encode())
        return digest.hexdigest()[:12]

    def binary(self, binaries: Path) -> Path:
        """Path of the built program in the cache."""
        return binaries / f"{self.name}-{self.version}-{self.recipe_digest}" / self.name


def kubernetes(name: str, cold_seconds: int) -> Component:
    """Return a command of the Kubernetes module."""
    return Component(
        name=name,
        version=KUBERNETES_VERSION,
        folder="kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        cold_seconds=cold_seconds,
        tags=KUBERNETES_TAGS,
        variables=KUBERNETES_VARIABLES,
    )


KUBE_APISERVER = kubernetes("kube-apiserver", 190)
KUBE_CONTROLLER_MANAGER = kubernetes("kube-controller-manager", 50)
KUBECTL = kubernetes("kubectl", 15)
KUBE_SCHEDULER = kubernetes("kube-scheduler", 5)
KUBELET = kubernetes("kubelet", 20)
KUBE_PROXY = kubernetes("kube-proxy", 8)
TRAINING_OPERATOR = Component(
    name="training-operator",
    version="1.9.4",
    folder="training-operator",
    package="github.com/kubeflow/training-operator/cmd/training-operator.v1",
    cold_seconds=90,
    module="github.com/kubeflow/training-operator",
)
COREDNS = Component(
    name="coredns",
    version="1.14.7",
    folder="coredns",
    package=".",
    cold_seconds=60,
)
KWOK = Component(
    name="kwok",
    version="0.8.0",
    folder="kwok",
    package="sigs.k8s.io/kwok/cmd/kwok",
    cold_seconds=65,
    module="sigs.k8s.io/kwok",
)
PAUSE = Component(name="pause", version="1", folder="pause", package=".", cold_seconds=2)

API_SERVER_ONLY = (KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBECTL)
CLUSTER = (*API_SERVER_ONLY, KUBE_SCHEDULER, KUBELET, KUBE_PROXY, TRAINING_OPERATOR, COREDNS, PAUSE)
ALL = {component.name: component for component in (*CLUSTER, KWOK)}


def by_name(name: str) -> Component:
    """Return the component of that name."""
    if name not in ALL:
        raise DevClusterError(f"no component is called {name!r}", hint=f"one of: {', '.join(sorted(ALL))}")
    return ALL[name]
