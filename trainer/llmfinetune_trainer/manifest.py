"""Reads a fine-tune from its manifest (YAML) or the operator's ConfigMap (JSON); tells all problems at once.

The same manifest serves a cluster and one machine: what only a cluster needs (workers, storage, run policy,
image, environment) is skipped here, and validated where it is used, by the API server.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.errors import RunError, user_error
from llmfinetune_trainer.strict_yaml import load_documents

API_VERSION: Final = "llmfinetune.dev/v1alpha1"
KIND: Final = "LLMFineTune"
_COMPUTED: Final = (
    "model",
    "dataset",
    "method",
    "training",
    "evaluation",
    "checkpoint",
    "output",
    "resumeFrom",
    "runtime",
)
_CLUSTER_SPEC: Final = ("workers", "storage", "runPolicy")
_CLUSTER_RUNTIME: Final = ("image", "imagePullSecrets", "env")
_OTHER_VERSION: Final = "take a trainer of the operator's own version (spec.runtime.image)"
_TOP: Final = ("apiVersion", "kind", "metadata", "spec", "status")


def load_manifest(path_or_text: Path | str) -> RunConfig:
    """Reads an LLMFineTune manifest: a path, or the YAML text itself (a string of more than one line).

    Raises:
        RunError: naming every field that is wrong, its value, and what would be right.
    """
    name, text = _text(path_or_text)
    try:
        documents = [document for document in load_documents(text) if document is not None]
    except ValueError as error:
        raise user_error(
            "InvalidManifest", f"{name} is not valid YAML: {error}", hint="correct it at that place"
        ) from None
    return _validated(name, _fine_tune(name, documents))


def manifest_workers(path_or_text: Path | str) -> Mapping[str, Any]:
    """`spec.workers` of a manifest that `load_manifest` accepts, as it stands there."""
    name, text = _text(path_or_text)
    documents = [document for document in load_documents(text) if document is not None]
    workers = _fine_tune(name, documents)["spec"].get("workers")
    return workers if isinstance(workers, dict) else {}


def load_run_config(path: Path) -> RunConfig:
    """Reads the JSON run configuration that the operator mounts.

    Raises:
        RunError: it is missing, not JSON, or does not fit this version of the trainer.
    """
    name, text = _text(path)
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError as error:
        raise user_error(
            "InvalidRunConfig", f"{name} is not valid JSON: {error}", hint=_OTHER_VERSION
        ) from None
    try:
        return RunConfig.model_validate(value, strict=True)
    except ValidationError as error:
        problems = [_described(detail, prefix="") for detail in error.errors(include_url=False)]
        raise _invalid(name, problems, hint=_OTHER_VERSION) from None


def _text(path_or_text: Path | str) -> tuple[str, str]:
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return "the manifest", path_or_text
    path = Path(path_or_text)
    try:
        return str(path), path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8: {error}"
        raise user_error(
            "ManifestUnreadable", f"cannot read {path}: {reason}", hint="name a readable file"
        ) from None


def _fine_tune(name: str, documents: list[Any]) -> Mapping[str, Any]:
    found = [
        document for document in documents if isinstance(document, dict) and document.get("kind") == KIND
    ]
    if len(found) == 1:
        return found[0]
    kinds = sorted({str(document.get("kind")) for document in documents if isinstance(document, dict)})
    what = f"{len(found)} documents" if found else f"no document (kinds there: {', '.join(kinds) or 'none'})"
    raise user_error(
        "InvalidManifest", f"{name} has {what} of kind {KIND}", hint=f"give it exactly one of kind {KIND}"
    )


def _validated(name: str, manifest: Mapping[str, Any]) -> RunConfig:
    problems = _unknown(manifest, _TOP, path="")
    if manifest.get("apiVersion") != API_VERSION:
        problems.append(f"apiVersion = {manifest.get('apiVersion')!r}: must be {API_VERSION}")
    metadata, spec = (_mapping(manifest, key, problems) for key in ("metadata", "spec"))
    problems += _unknown(spec, (*_COMPUTED, *_CLUSTER_SPEC), path="spec.")
    candidate = {key: spec[key] for key in _COMPUTED if key in spec}
    if isinstance(candidate.get("runtime"), dict):
        candidate["runtime"] = {k: v for k, v in candidate["runtime"].items() if k not in _CLUSTER_RUNTIME}
    candidate |= {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    try:
        config = RunConfig.model_validate(candidate, strict=True)
    except ValidationError as error:
        problems += [_described(detail, prefix="spec.") for detail in error.errors(include_url=False)]
    if problems:
        raise _invalid(name, problems, hint="correct the manifest where it says so")
    return config


def _mapping(manifest: Mapping[str, Any], key: str, problems: list[str]) -> Mapping[str, Any]:
    value = manifest.get(key)
    if isinstance(value, dict):
        return value
    problems.append(f"{key}: required" if value is None else f"{key} = {value!r}: must be a mapping")
    return {}


def _unknown(value: Mapping[str, Any], known: Iterable[str], *, path: str) -> list[str]:
    return [_unknown_field(f"{path}{key}", str(key), known) for key in value if key not in known]


def _unknown_field(path: str, key: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(key, known, n=1) or difflib.get_close_matches(
        key.lower(), [name.lower() for name in known], n=1
    )
    meant = [name for name in known if near and name.lower() == near[0].lower()]
    return f"{path}: unknown field; " + (
        f"did you mean {meant[0]}?" if meant else f"known are {', '.join(known)}"
    )


def _described(detail: ErrorDetails, *, prefix: str) -> str:
    location = detail["loc"]
    in_metadata = bool(location) and location[0] in {"name", "namespace"}
    path = ("metadata." if in_metadata and prefix else prefix) + _dotted(location)
    match detail["type"]:
        case "missing":
            return f"{path}: required"
        case "extra_forbidden":
            return _unknown_field(path, str(location[-1]), _known_fields(location[:-1]))
        case "value_error":
            return f"{path.rstrip('.')}: {detail['ctx']['error']}"
    return f"{path} = {_shown(detail['input'])}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _dotted(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _known_fields(location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the model that a location leads to."""
    model: type[BaseModel] = RunConfig
    for part in location:
        field = next(f for n, f in model.model_fields.items() if part in {n, f.alias})
        model = next(t for t in (field.annotation, *get_args(field.annotation)) if _is_model(t))
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _invalid(name: str, problems: list[str], *, hint: str) -> RunError:
    listed = "\n".join(f"  - {problem}" for problem in problems)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return user_error("InvalidConfiguration", f"{name} has {count}:\n{listed}", hint=hint)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in keys if keys.count(key) > 1)!r}")
    return value


def _no_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no number that a configuration may hold")
