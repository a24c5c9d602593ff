"""What is installed of Kubeflow's operator, and what of it goes again."""

from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from devcluster.gobuild import GoBuilder
from devcluster.kubectl import FIELD_MANAGER
from devcluster.layout import Layout
from devcluster.training_operator import NAMESPACE, OTHER_KINDS, TrainingOperator, kustomization, removal


@dataclass
class Kubectl:
    """Answers as kubectl would, and notes what is deleted."""

    managers: str
    inside: str
    deleted: list[str] = field(default_factory=list)

    def __call__(self, verb: str, *arguments: str, input_text: str = "", **_: object) -> str:
        if verb == "delete":
            self.deleted.append(input_text or " ".join(arguments[:2]))
        return self.inside if verb == "get" else "manifests"

    def attempt(self, *_: str) -> CompletedProcess[str]:
        return CompletedProcess([], 0, self.managers, "")


CASES = {
    "a namespace that came along goes": (FIELD_MANAGER, "", True),
    "one that the API server has no writer of goes": ("", "", True),
    "one in which others run something stays": (FIELD_MANAGER, "deployment.apps/notebooks\n", False),
    "one that somebody else made stays": (f"kubectl-create {FIELD_MANAGER}", "", False),
}


@pytest.mark.parametrize(("managers", "inside", "goes"), CASES.values(), ids=CASES.keys())
def test_the_namespace_goes_only_where_it_is_ours(
    managers: str, inside: str, goes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GoBuilder, "module_folder", lambda *_: tmp_path)
    kubectl = Kubectl(managers, inside)
    layout = Layout(cache=tmp_path, state=tmp_path)
    TrainingOperator(GoBuilder(layout), kubectl).remove()  # type: ignore[arg-type]
    assert kubectl.deleted == ["manifests", *([f"namespace {NAMESPACE}"] if goes else [])]


def test_only_pytorchjobs_are_served_and_further_objects_can_be_left_out() -> None:
    namespace = removal("v1", "Namespace", NAMESPACE)
    patches = str(kustomization("base", namespace, local_image=False)["patches"])
    assert all(f"{kind}jobs.kubeflow.org" in patches for kind in OTHER_KINDS)
    assert "pytorchjobs" not in patches
    assert str(namespace) in patches
