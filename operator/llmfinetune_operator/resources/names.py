"""Names of everything that belongs to a fine-tune, and the identity of one attempt at training it."""

from llmfinetune_operator.observed import ChildRef, Object

TRAINING_API_VERSION = "kubeflow.org/v1"
TRAINING_KIND = "PyTorchJob"


def claim(name: str) -> str:
    """The fine-tune's own volume claim."""
    return name


def run_config_map(name: str) -> str:
    """ConfigMap with the run configuration and the certificate authority of the progress endpoint."""
    return f"{name}-run"


def service_account(name: str) -> str:
    """ServiceAccount of prepare and worker pods. It has no rights."""
    return f"{name}-trainer"


def prepare_job(name: str) -> str:
    """Job that fetches and prepares model and data."""
    return f"{name}-prepare"


def training_job(name: str) -> str:
    """The job that trains; its pods are `<name>-worker-<index>`."""
    return name


def worker_pod(name: str, index: int) -> str:
    """Pod of one worker, as the training job names it."""
    return f"{training_job(name)}-worker-{index}"


def attempt_id(uid: str, attempt: int) -> str:
    """Identity of one attempt, unique over all that ever had this name. Trainers report it back."""
    return f"{uid}-{attempt}"


def is_attempt_of(uid: str, attempt: str) -> bool:
    """Whether a trainer's report or result belongs to the fine-tune with this uid."""
    return attempt.startswith(f"{uid}-")


def is_earlier(attempt: str, other: str) -> bool:
    """Whether an attempt came before another one of the same fine-tune."""
    (uid, _, number), (other_uid, _, other_number) = attempt.rpartition("-"), other.rpartition("-")
    are_numbers = number.isdecimal() and other_number.isdecimal()
    return uid == other_uid and are_numbers and int(number) < int(other_number)


def origin(fine_tune: Object) -> str:
    """The fine-tune that this one starts from; empty where it names none."""
    return str((fine_tune["spec"].get("resumeFrom") or {}).get("fineTune") or "")


def workspace(name: str, existing_claim: str | None) -> str:
    """A fine-tune's volume as a source."""
    return f"pvc://{existing_claim}/{name}" if existing_claim else f"pvc://{claim(name)}/."


def is_workspace_of(source: str, name: str) -> bool:
    """Whether a source is the volume of the fine-tune with this name."""
    return source == workspace(name, None) or source.endswith(f"/{name}")


def existing_claim(fine_tune: Object) -> str:
    """The claim that the user made; empty where the fine-tune has its own."""
    return str((fine_tune["spec"].get("storage") or {}).get("existingClaim") or "")


def claim_ref(fine_tune: Object) -> ChildRef:
    """The claim that holds the workspace: one of the user's, or the fine-tune's own."""
    name = existing_claim(fine_tune) or claim(str(fine_tune["metadata"]["name"]))
    return ChildRef("v1", "PersistentVolumeClaim", name)


def child_refs(fine_tune: Object) -> tuple[ChildRef, ...]:
    """Every object whose live state `decide` needs to see in `Observed.children`, where it exists."""
    name = str(fine_tune["metadata"]["name"])
    return (
        claim_ref(fine_tune),
        ChildRef("v1", "ConfigMap", run_config_map(name)),
        ChildRef("v1", "ServiceAccount", service_account(name)),
        ChildRef("batch/v1", "Job", prepare_job(name)),
        ChildRef(TRAINING_API_VERSION, TRAINING_KIND, training_job(name)),
    )
