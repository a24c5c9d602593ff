"""The provider that uses the cluster of the user's kubeconfig, and never changes more of it than it must."""

import sys
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import DevClusterError, NotRunningError
from devcluster.gobuild import GoBuilder, check_go
from devcluster.images.build import NEEDED_GB, builds_with_docker, require_image_room
from devcluster.images.registry import Registry
from devcluster.kubectl import Kubectl, kubectl_program, require_kubernetes
from devcluster.layout import Layout
from devcluster.progress import Progress
from devcluster.training_operator import TrainingOperator


@dataclass(frozen=True, slots=True)
class KubeconfigProvider:
    """Addresses the current context of the user's environment."""

    layout: Layout
    name: str = "kubeconfig"

    def check(self) -> None:
        """Ask whether the cluster answers, how old it is, and whether training-operator must be installed."""
        if not self.is_running():
            raise NotRunningError(
                "the kubeconfig's current context does not answer",
                hint="check `kubectl config current-context`, or use --provider embedded or kind",
            )
        require_kubernetes(self.kubectl(), hint="upgrade it, or use --provider embedded or kind")
        if not self._training_operator().is_installed():
            check_go()

    def check_room(self) -> None:
        """Look where images are built."""
        require_image_room(NEEDED_GB, self.layout, with_docker=builds_with_docker(self.name))

    def prepare(self, *, with_kwok: bool) -> None:
        """Refuse what this provider does not have."""
        if with_kwok:
            raise DevClusterError(
                "KWOK is not installed into a cluster of yours",
                hint="use --provider embedded for simulated nodes",
            )
        self.check()

    def up(self, *, with_kwok: bool) -> None:
        """Install training-operator only where it is missing."""
        operator = self._training_operator()
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
        return self.kubectl().is_answered()

    def image(self, name: str) -> str:
        """Return the name in the user's registry; only the user knows which one the cluster pulls from."""
        return Registry.from_environment(self.layout).name_of(name)

    def load_image(self, name: str) -> None:
        """Push the image to the user's registry."""
        Registry.from_environment(self.layout).push(name)

    def context(self) -> str:
        """Return the user's current context."""
        return self.kubectl().attempt("config", "current-context").stdout.strip()

    def kubectl(self) -> Kubectl:
        """Return kubectl under the user's environment."""
        return Kubectl(kubectl_program(self.layout))

    def kubeconfig(self) -> Path | None:
        """Return None: the environment names it."""
        return None

    def processes(self) -> tuple[str, ...]:
        """Return nothing: nothing runs here."""
        return ()

    def _training_operator(self) -> TrainingOperator:
        return TrainingOperator(GoBuilder(self.layout), self.kubectl())
