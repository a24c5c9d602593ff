"""What a change of each field of the spec does to a fine-tune that has started."""

from typing import Any, Literal

ChangeClass = Literal["live", "restart", "immutable"]

CHANGES: dict[str, ChangeClass] = {
    "model": "immutable",
    "dataset": "immutable",
    "method": "immutable",
    "training": "immutable",
    "evaluation": "restart",
    "checkpoint": "restart",
    "resumeFrom": "immutable",
    "output": "restart",
    "workers": "restart",
    "workers.replicas": "live",
    "workers.schedulingTimeout": "live",
    "runtime": "restart",
    "storage.size": "immutable",
    "storage.storageClassName": "immutable",
    "storage.accessModes": "immutable",
    "storage.existingClaim": "immutable",
    "storage.retain": "live",
    "runPolicy": "live",
    "runPolicy.queueName": "restart",
    "runPolicy.priorityClassName": "restart",
}
"""Paths below `spec`; the longest that a field's path begins with decides."""

MEANINGS: dict[ChangeClass, str] = {
    "live": "takes effect at once",
    "restart": "writes a checkpoint, starts the workers again and resumes",
    "immutable": "is refused: create a new LLMFineTune",
}

_NAME_RULE = {
    "rule": "self.metadata.name.size() <= 52 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    "message": "metadata.name must begin with a letter, hold only a-z, 0-9 and '-', not end in '-', and "
    "have at most 52 characters, because pods are called <name>-worker-<number>: choose another name",
}


_NOT_ITSELF = {
    "rule": "!has(self.spec.resumeFrom) || !has(self.spec.resumeFrom.fineTune) || "
    "self.spec.resumeFrom.fineTune != self.metadata.name",
    "message": "resumeFrom.fineTune is this fine-tune itself, which goes on from its own checkpoints anyway: "
    "name another one or remove resumeFrom",
    "fieldPath": ".spec.resumeFrom",
}
_OPTIONAL = ("resumeFrom",)


def change_class(path: str) -> ChangeClass:
    """Return the class of the field at `path` below `spec`, such as `training.seed`.

    Raises:
        KeyError: no class is declared for it.
    """
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        if found := CHANGES.get(".".join(parts[:end])):
            return found
    raise KeyError(f"spec.{path} has no class of change")


def resource_rules() -> list[dict[str, Any]]:
    """Return the CEL rules of the whole resource: its name, and what cannot change."""
    immutable = [path for path, kind in CHANGES.items() if kind == "immutable"]
    return [
        _NAME_RULE,
        _NOT_ITSELF,
        *(_storage(path) if "." in path else _started(path) for path in immutable),
    ]


def _started(path: str) -> dict[str, Any]:
    """Free until work begins. A run that has trouble is Pending again, but its data is prepared."""
    same = f"({_unchanged(path)})" if path in _OPTIONAL else f"self.spec.{path} == oldSelf.spec.{path}"
    return {
        "rule": "!has(oldSelf.status) || !has(oldSelf.status.phase) || "
        "(oldSelf.status.phase == 'Pending' && !has(oldSelf.status.dataset)) || "
        f"{same}",
        "message": f"spec.{path} cannot change once the fine-tune has started: create a new LLMFineTune",
        "fieldPath": f".spec.{path}",
    }


def _storage(path: str) -> dict[str, Any]:
    """Fixed from the beginning, because the claim is made at once."""
    return {
        "rule": _unchanged(path),
        "message": f"spec.{path} cannot change: create a new LLMFineTune",
        "fieldPath": f".spec.{path}",
    }


def _unchanged(path: str) -> str:
    """For a field that may be absent."""
    new, old = f"self.spec.{path}", f"oldSelf.spec.{path}"
    return f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"
