"""Runs kubectl against one kubeconfig, for what is easier said than requested."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from devcluster.command import run, run_unchecked
from devcluster.components import KUBECTL
from devcluster.errors import MissingRequirementError
from devcluster.gobuild import GoBuilder
from devcluster.layout import Layout
from devcluster.progress import Progress
from devcluster.versions import major_minor

FIELD_MANAGER = "llmfinetune-devcluster"
MINIMUM_KUBERNETES = (1, 31)


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl and the cluster it addresses."""

    binary: Path
    kubeconfig: Path | None = None
    """None addresses whatever the user's own environment says."""
    context: str | None = None
    """None addresses the kubeconfig's current context."""

    def __call__(self, *arguments: str, input_text: str | None = None, timeout: float = 120.0) -> str:
        """Run to the end; raise with kubectl's words when it fails."""
        return run([self.binary, *self._where(), *arguments], input_text=input_text, timeout=timeout)

    def attempt(self, *arguments: str, timeout: float = 60.0) -> CompletedProcess[str]:
        """Run to the end, whatever comes of it."""
        return run_unchecked([self.binary, *self._where(), *arguments], timeout=timeout)

    def is_answered(self) -> bool:
        """Say whether an API server answers and calls itself ready."""
        return self.attempt("get", "--raw=/readyz", "--request-timeout=5s").returncode == 0

    def apply(self, objects: Iterable[object]) -> None:
        """Apply objects on the server's side under this tool's name."""
        self.apply_text("\n---\n".join(json.dumps(each) for each in objects))

    def apply_text(self, manifests: str) -> None:
        """Apply manifests as they come from kustomize."""
        flags = ("--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}")
        self("apply", *flags, "-f", "-", input_text=manifests)

    def _where(self) -> tuple[str, ...]:
        flags = {"kubeconfig": self.kubeconfig, "context": self.context}
        return tuple(f"--{name}={value}" for name, value in flags.items() if value is not None)


def kubectl_program(layout: Layout) -> Path:
    """Return a kubectl of the machine's own that really runs, else one that is built."""
    found = shutil.which("kubectl")
    if found is not None and run_unchecked([found, "version", "--client"], timeout=30).returncode == 0:
        return Path(found)
    builder = GoBuilder(layout)
    builder.ensure([KUBECTL], Progress(1))
    return builder.path(KUBECTL)


def require_kubernetes(kubectl: Kubectl, *, hint: str) -> None:
    """Raise where the cluster is older than the oldest Kubernetes that this project serves."""
    version = json.loads(kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    if major_minor(version) < MINIMUM_KUBERNETES:
        minimum = ".".join(str(part) for part in MINIMUM_KUBERNETES)
        raise MissingRequirementError(
            f"the cluster is Kubernetes {version}, and {minimum} or newer is needed", hint=hint
        )
