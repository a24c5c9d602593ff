"""Gives a client of an API server the rights that the operator is installed with, and no others."""

from pathlib import Path

from tests.api.client import Kubectl
from tests.api.operator.process import REPOSITORY, token_kubeconfig

SYSTEM = "llmfinetune-system"
RIGHTS = {"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


def install_rights(kubectl: Kubectl, kustomization: str, target: Path) -> Path:
    """Apply what a folder of deploy/kustomize gives to the operator; write a kubeconfig with its token."""
    rendered = kubectl("kustomize", str(REPOSITORY / "deploy/kustomize" / kustomization))
    documents = [each for each in rendered.split("\n---\n") if kind_of(each) in RIGHTS]
    kubectl("apply", "--server-side", "-f", "-", stdin="\n---\n".join(documents))
    token = kubectl("-n", SYSTEM, "create", "token", "llmfinetune-operator", "--duration=2h").strip()
    return token_kubeconfig(kubectl.kubeconfig, token, target)


def kind_of(document: str) -> str:
    """Return the kind of one YAML document."""
    return next(line.split()[1] for line in document.splitlines() if line.startswith("kind:"))
