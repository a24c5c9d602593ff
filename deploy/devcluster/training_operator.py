"""Installs Kubeflow's training-operator, which runs PyTorchJobs, from the manifests of its Go module."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from devcluster.components import TRAINING_OPERATOR
from devcluster.gobuild import GoBuilder
from devcluster.kubectl import FIELD_MANAGER, Kubectl
from devcluster.oci import write_archive

CRD, CRD_VERSION = "pytorchjobs.kubeflow.org", "apiextensions.k8s.io/v1"
UPSTREAM_IMAGE = "ghcr.io/kubeflow/training-v1/training-operator"
LOCAL_IMAGE = "llmfinetune/training-operator"
NAMESPACE = "kubeflow"
READY_SECONDS = 180.0
OTHER_KINDS = ("jax", "mpi", "paddle", "tf", "xgboost")


@dataclass(frozen=True, slots=True)
class TrainingOperator:
    """The operator's manifests, image and installation."""

    builder: GoBuilder
    kubectl: Kubectl

    def is_installed(self) -> bool:
        """Say whether the cluster knows PyTorchJobs."""
        return self.kubectl.attempt("get", "crd", CRD).returncode == 0

    def install(self, *, local_image: bool) -> None:
        """Apply the manifests and wait until the operator is ready."""
        self.kubectl.apply_text(self.manifests(local_image=local_image))
        self.wait()

    def wait(self) -> None:
        """Return when the operator serves, webhook included."""
        timeout = f"--timeout={READY_SECONDS:.0f}s"
        deployment = ("-n", NAMESPACE, "deployment/training-operator", timeout)
        self.kubectl("rollout", "status", *deployment, timeout=READY_SECONDS + 10)

    def remove(self) -> None:
        """Delete what `install` made, the definition of PyTorchJobs too; a namespace of others stays."""
        manifests = self.manifests(removal("v1", "Namespace", NAMESPACE))
        flags = ("--ignore-not-found", "--cascade=foreground")
        self.kubectl("delete", *flags, "-f", "-", input_text=manifests, timeout=300)
        if self._is_namespace_ours():
            self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=300)

    def _is_namespace_ours(self) -> bool:
        """Say whether nobody else made the namespace, or put anything into it that runs or keeps data."""
        writers = "-o=jsonpath={.metadata.managedFields[*].manager}"
        found = self.kubectl.attempt("get", "namespace", NAMESPACE, writers).stdout.split()
        inside = self.kubectl("get", "all,persistentvolumeclaims", "-n", NAMESPACE, "--output=name")
        return set(found) <= {FIELD_MANAGER} and not inside.strip()

    def manifests(self, *patches: dict[str, object], local_image: bool = False) -> str:
        """Render the module's overlay, changed to what this project needs, and by further patches."""
        module = self.builder.module_folder(TRAINING_OPERATOR)
        with tempfile.TemporaryDirectory(prefix="llmfinetune-") as folder:
            base = os.path.relpath(module / "manifests/overlays/standalone", Path(folder).resolve())
            text = json.dumps(kustomization(base, *patches, local_image=local_image))
            Path(folder, "kustomization.yaml").write_text(text)
            return self.kubectl("kustomize", folder)

    @property
    def image(self) -> str:
        """Full name of the image that we build ourselves."""
        return f"docker.io/{LOCAL_IMAGE}:{TRAINING_OPERATOR.version}"

    def archive(self) -> Path:
        """Return the image that we build ourselves, for clusters without a registry."""
        binary = self.builder.path(TRAINING_OPERATOR)
        target = binary.with_name("image.tar")
        if not target.exists():
            write_archive(target, self.image, {"/manager": binary}, ["/manager"], "65532:65532")
        return target


def kustomization(base: str, *patches: dict[str, object], local_image: bool) -> dict[str, object]:
    """Return a kustomization over the module's overlay: PyTorchJobs only, and our image if wanted."""
    container = "/spec/template/spec/containers/0"
    changes = [
        {"op": "add", "path": f"{container}/args", "value": ["--enable-scheme=pytorchjob"]},
        {"op": "add", "path": f"{container}/imagePullPolicy", "value": "IfNotPresent"},
        {"op": "replace", "path": f"{container}/readinessProbe/initialDelaySeconds", "value": 1},
        {"op": "replace", "path": f"{container}/readinessProbe/periodSeconds", "value": 2},
    ]
    image = {"name": UPSTREAM_IMAGE, "newName": LOCAL_IMAGE, "newTag": TRAINING_OPERATOR.version}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base],
        "images": [image] if local_image else [],
        "patches": [
            {"target": {"kind": "Deployment", "name": "training-operator"}, "patch": json.dumps(changes)},
            # Kinds that the operator is told not to serve.
            *(removal(CRD_VERSION, "CustomResourceDefinition", f"{k}jobs.kubeflow.org") for k in OTHER_KINDS),
            *patches,
        ],
    }


def removal(version: str, kind: str, name: str) -> dict[str, object]:
    """Return a patch that leaves an object of the module's overlay out."""
    gone = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "$patch": "delete"}
    return {"patch": json.dumps(gone)}
