"""What tests here start from: the operator's rights as they are installed, and operators that use them."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.api.client import Client, Kubectl
from tests.api.operator.process import OperatorProcess, eventually
from tests.api.operator.rights import install_rights
from tests.api.operator.world import World

TRAINING_MODULE = "github.com/kubeflow/training-operator@v1.9.4"
TRAINING_CRD = "manifests/base/crds/kubeflow.org_pytorchjobs.yaml"

StartOperator = Callable[..., OperatorProcess]
NewWorld = Callable[[], World]


@pytest.fixture(scope="session")
def training_crd() -> Path:
    """The definition of PyTorchJob as the training operator ships it."""
    command = ["go", "mod", "download", "-json", TRAINING_MODULE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(json.loads(done.stdout)["Dir"]) / TRAINING_CRD


def install_training_api(kubectl: Kubectl, training_crd: Path) -> None:
    kubectl("apply", "--server-side", "-f", str(training_crd))
    eventually(lambda: kubectl.run("get", "pytorchjobs.kubeflow.org").returncode == 0)


@pytest.fixture(scope="module")
def training_api(kubectl: Kubectl, training_crd: Path) -> None:
    """An API server that knows PyTorchJobs; their operator does not run, so tests play it."""
    install_training_api(kubectl, training_crd)


LACKS_A_RIGHT = "is forbidden: User"
"""How the API server begins to say so; admission forbids things too, for other reasons."""


@pytest.fixture(scope="session")
def operator_kubeconfig(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rights that deploy/kustomize/base gives to the operator, and nothing else."""
    return install_rights(kubectl, "base", tmp_path_factory.mktemp("operator") / "kubeconfig")


@contextmanager
def operators(kubeconfig: Path, folder: Path) -> Iterator[StartOperator]:
    """Start operators in a folder; at the end none may have met a defect or lacked a right."""
    logs = []
    with ExitStack() as stack:

        def start(
            *options: str,
            name: str = "operator",
            env: Mapping[str, str] | None = None,
            module: str = "llmfinetune_operator",
        ) -> OperatorProcess:
            log = folder / f"{name}.log"
            logs.append(log)
            options = ("--state-dir", str(folder / name), *options)
            return stack.enter_context(OperatorProcess(kubeconfig, log, *options, env=env, module=module))

        yield start
    for log in logs:
        said = log.read_text()
        assert "Traceback" not in said, said
        assert LACKS_A_RIGHT not in said, said


@pytest.fixture
def start_operator(operator_kubeconfig: Path, tmp_path: Path) -> Iterator[StartOperator]:
    """Start operators of the test's own, with exactly their rights."""
    with operators(operator_kubeconfig, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def operator(
    operator_kubeconfig: Path, training_api: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """One operator for all tests of a module, with exactly its rights."""
    with operators(operator_kubeconfig, tmp_path_factory.mktemp("operator")) as start:
        yield start()


@pytest.fixture
def new_world(client: Client, kubectl: Kubectl) -> Iterator[NewWorld]:
    """Make namespaces whose fine-tunes are deleted at the end: later tests count what operators write."""
    made: list[World] = []

    def make() -> World:
        made.append(World(client, kubectl))
        return made[-1]

    yield make
    for world in made:
        # The fine-tunes first: in a namespace that ends, an operator would try to restore their children.
        kubectl("-n", world.namespace, "delete", "llmfinetunes", "--all")
        kubectl("delete", "namespace", world.namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture
def world(new_world: NewWorld) -> World:
    """A namespace of the test's own."""
    return new_world()
