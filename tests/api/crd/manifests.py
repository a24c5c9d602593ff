"""Builds fine-tunes for the tests, and sends them."""

import copy
from typing import Any

from tests.api.client import Answer, Client, Json

PATH = "/apis/llmfinetune.dev/v1alpha1/namespaces/default/llmfinetunes"
STRICT = "fieldValidation=Strict"
DIGEST = "0123456789abcdef" * 4


class Remove:
    """As a value: the field is taken out."""


def fine_tune(name: str = "sample", /, **changes: Any) -> Json:
    """Return a valid fine-tune with `changes` to its spec, named by path: `training__seed=1`."""
    spec: Json = {
        "model": {"source": "hf://owner/model"},
        "dataset": {"source": "hf://owner/data"},
        "method": {"lora": {}},
    }
    for path, value in changes.items():
        put(spec, path.split("__"), value)
    return {
        "apiVersion": "llmfinetune.dev/v1alpha1",
        "kind": "LLMFineTune",
        "metadata": {"name": name},
        "spec": spec,
    }


def put(target: Json, path: list[str], value: Any) -> None:
    """Set (or take out) the field at `path`, making the objects on the way."""
    *parents, last = path
    for each in parents:
        target = target.setdefault(each, {})
    if value is Remove:
        target.pop(last, None)
    else:
        target[last] = copy.deepcopy(value)


def try_create(client: Client, manifest: Json | str) -> Answer:
    """Create without storing: the API server validates and defaults as it would."""
    return client.request("POST", f"{PATH}?dryRun=All&{STRICT}", manifest)


def create(client: Client, manifest: Json) -> Json:
    """Create, and return what is stored."""
    answer = client.request("POST", f"{PATH}?{STRICT}", manifest)
    assert answer.status == 201, answer.body
    return answer.body


def change(client: Client, name: str, patch: Json, *, subresource: str = "") -> Answer:
    """Merge `patch` into a stored fine-tune."""
    path = f"{PATH}/{name}{subresource}?{STRICT}"
    return client.request("PATCH", path, patch, content_type="application/merge-patch+json")


def set_status(client: Client, name: str, **status: Any) -> Json:
    """Write parts of the status."""
    answer = change(client, name, {"status": status}, subresource="/status")
    assert answer.status == 200, answer.body
    return answer.body
