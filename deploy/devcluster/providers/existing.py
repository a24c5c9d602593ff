"""The provider that uses the cluster of the user's kubeconfig, and never changes more of it than it must."""

import sys
from dataclasses import dataclass
from pathlib import Path

from devcluster.components import KUBECTL
from devcluster.errors import DevClusterError, NotRunningError
from devcluster.gobuild import GoBuilder
from devcluster.images.registry import Registry
from devcluster.kubectl import Kubectl, find_kubectl
from devcluster.layout import Layout
from devcluster.progress import Progress
from devcluster.training_operator import TrainingOperator


@dataclass(frozen=True, slots=True)
class KubeconfigProvider:
    """Addresses the current context of the user's environment."""

    layout: Layout
    name: str = "kubeconfig"

    def prepare(self, *, with_kwok: bool) -> None:
        """Refuse what this provider does not have."""
        if with_kwok:
            raise DevClusterError(
                "KWOK is not installed into a cluster of yours",
                hint="use --provider embedded for simulated nodes",
            )

    def up(self, *, with_kwok: bool) -> None:
        """Check that the cluster answers, and install training-operator only where it is missing."""
        if not self.is_running():
            raise NotRunningError(
                "the kubeconfig's current context does not answer",
                hint="check `kubectl config current-context`, or use --provider embedded or kind",
            )
        operator = TrainingOperator(GoBuilder(self.layout), self.kubectl())
        if operator.is_installed():
            print("training-operator: found, left as it is", file=sys.stderr)
            return
        with Progress(1).step("installing training-operator, which this cluster lacks"):
            operator.install(local_image=False)

    def down(self, *, keep_data: bool) -> None:
        """Leave the cluster alone: it is not ours."""
        print("the cluster of your kubeconfig was not made by this tool and stays as it is", file=sys.stderr)

    def is_running(self) -> bool:
        """Say whether the current context answers."""
        return self.kubectl().attempt("get", "--raw=/readyz", "--request-timeout=5s").returncode == 0

    def image(self, name: str) -> str:
        """Return the name in the user's registry; only the user knows which one the cluster pulls from."""
        return Registry.from_environment(self.layout).name_of(name)

    def load_image(self, name: str) -> None:
        """Push the image to the user's registry."""
        Registry.from_environment(self.layout).push(name)

    def kubectl(self) -> Kubectl:
        """Return kubectl under the user's environment."""
        return Kubectl(find_kubectl() or self._built_kubectl())

    def kubeconfig(self) -> Path | None:
        """Return None: the environment names it."""
        return None

    def processes(self) -> tuple[str, ...]:
        """Return nothing: nothing runs here."""
        return ()

    def _built_kubectl(self) -> Path:
        builder = GoBuilder(self.layout)
        builder.ensure([KUBECTL], Progress(1))
        return builder.path(KUBECTL)
