"""Runs kubectl against one kubeconfig, for what is easier said than requested."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from devcluster.command import run, run_unchecked


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl and the cluster it addresses."""

    binary: Path
    kubeconfig: Path | None = None
    """None addresses whatever the user's own environment says."""

    def __call__(self, *arguments: str, input_text: str | None = None, timeout: float = 120.0) -> str:
        """Run to the end; raise with kubectl's words when it fails."""
        return run([self.binary, *self._where(), *arguments], input_text=input_text, timeout=timeout)

    def attempt(self, *arguments: str, timeout: float = 60.0) -> CompletedProcess[str]:
        """Run to the end, whatever comes of it."""
        return run_unchecked([self.binary, *self._where(), *arguments], timeout=timeout)

    def apply(self, objects: Iterable[object]) -> None:
        """Apply objects on the server's side under this tool's name."""
        self.apply_text("\n---\n".join(json.dumps(each) for each in objects))

    def apply_text(self, manifests: str) -> None:
        """Apply manifests as they come from kustomize."""
        flags = ("--server-side", "--force-conflicts", "--field-manager=llmfinetune-devcluster")
        self("apply", *flags, "-f", "-", input_text=manifests)

    def _where(self) -> tuple[str, ...]:
        return () if self.kubeconfig is None else (f"--kubeconfig={self.kubeconfig}",)


def find_kubectl() -> Path | None:
    """Return a kubectl of the machine's own that really runs, if there is one."""
    found = shutil.which("kubectl")
    if found is None or run_unchecked([found, "version", "--client"], timeout=30).returncode != 0:
        return None
    return Path(found)
