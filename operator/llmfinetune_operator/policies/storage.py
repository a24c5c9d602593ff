"""Whether the fine-tune's claim has a volume, and what to do where it has none."""

from dataclasses import dataclass

from llmfinetune_operator.observed import Object
from llmfinetune_operator.policies.events_about import about
from llmfinetune_operator.policies.trouble import Trouble, failure
from llmfinetune_operator.policies.view import View

_NOTHING_MISSING = "nothing to do where the cluster provides volumes; else look at `kubectl describe pvc`"


@dataclass(frozen=True, kw_only=True)
class Storage:
    """State of the fine-tune's volume."""

    ready: bool
    usable: bool
    """Whether pods may be made that wait for it: some volumes are only made once a pod has a node."""
    access_modes: tuple[str, ...]
    reason: str
    message: str
    trouble: Trouble | None = None

    @property
    def on_one_node(self) -> bool:
        """Whether only one node at a time can mount it."""
        return "ReadWriteMany" not in self.access_modes


def storage(view: View) -> Storage:
    """Judges the claim."""
    claim = view.claim
    modes = tuple(view.spec.storage.claim_access_modes)
    if claim is None:
        return _missing(view) if view.spec.storage.existing_claim else _new(modes)
    modes = tuple(claim["spec"].get("accessModes") or modes)
    phase = claim.get("status", {}).get("phase", "Pending")
    if phase == "Bound":
        return Storage(
            ready=True, usable=True, access_modes=modes, reason="Bound", message="the claim has a volume"
        )
    if phase == "Lost":
        return _lost(view, modes)
    return _waiting(view, claim, modes)


def _new(modes: tuple[str, ...]) -> Storage:
    return Storage(
        ready=False,
        usable=True,
        access_modes=modes,
        reason="ClaimPending",
        message="the claim waits for a volume",
    )


def _missing(view: View) -> Storage:
    name = view.claim_name
    trouble = Trouble(
        failure=failure(
            "Volume",
            "ClaimMissing",
            f"storage.existingClaim names {name!r}, but namespace {view.owner.namespace!r} has no such claim",
            hint="make the claim, or correct storage.existingClaim",
            retryable=True,
        )
    )
    return _troubled(trouble, (), usable=False)


def _lost(view: View, modes: tuple[str, ...]) -> Storage:
    trouble = Trouble(
        failure=failure(
            "Volume",
            "VolumeLost",
            f"the volume behind claim {view.claim_name!r} does not exist any more",
            hint="delete the claim: the work starts again on a new one",
            retryable=True,
        )
    )
    return _troubled(trouble, modes, usable=False)


def _waiting(view: View, claim: Object, modes: tuple[str, ...]) -> Storage:
    told = about(claim, view.observed.events, reasons={"ProvisioningFailed"})
    if not told:
        return _new(modes)
    class_missing = "storageclass" in told[-1] and "not found" in told[-1]
    trouble = Trouble(
        failure=failure(
            "Volume",
            "StorageClassMissing" if class_missing else "ProvisioningFailed",
            f"claim {view.claim_name!r} gets no volume: {told[-1]}",
            hint=(
                "make the storage class, or delete the fine-tune and name one that exists in "
                "storage.storageClassName (kubectl get storageclass)"
                if class_missing
                else _NOTHING_MISSING
            ),
            retryable=True,
        )
    )
    return _troubled(trouble, modes, usable=True)


def _troubled(trouble: Trouble, modes: tuple[str, ...], *, usable: bool) -> Storage:
    return Storage(
        ready=False,
        usable=usable,
        access_modes=modes,
        reason=trouble.failure.reason,
        message=trouble.failure.message,
        trouble=trouble,
    )
