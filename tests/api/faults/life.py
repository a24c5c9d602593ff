"""The life of one fine-tune up to running workers, and what there is at its end, comparable between lives."""

import json
from typing import Any

from tests.api.client import Json
from tests.api.operator.test_training import worker
from tests.api.operator.world import World

READY = {"type": "Ready", "status": "True"}
MOVING = {"lastTransitionTime", "startTime", "activeTime", "activeSeconds", "llmfinetune.dev/template-hash"}
"""Differs between any two lives: times, and a hash over names and uids."""


def live(world: World) -> None:
    """Create a fine-tune and play its pods until one worker runs and the operator says so."""
    world.create()
    world.finish_prepare()
    worker(world, world.until(lambda: world.get("pytorchjobs", "medical"), timeout=60))
    world.patch("pods", "medical-worker-0", {"status": {"conditions": [READY]}}, "status")
    world.until(lambda: world.status().get("workers", {}).get("ready") == 1)


def remains(world: World) -> Json:
    """Return what the operator made and said, with uids and the namespace replaced and times left out."""
    pods = world.list("pods")
    everything = {**world.children(), "fine-tune": world.get("llmfinetunes", "medical") or {}}
    said = {name: _said(obj) for name, obj in everything.items()}
    text = json.dumps({**said, "pods": len(pods)}, sort_keys=True)
    for name, obj in {**everything, **{each["metadata"]["name"]: each for each in pods}}.items():
        text = text.replace(obj["metadata"]["uid"], f"uid of {name}")
    return dict(json.loads(text.replace(world.namespace, "namespace")))


def _said(obj: Json) -> Json:
    labels = {key: obj["metadata"].get(key) for key in ("labels", "ownerReferences", "annotations")}
    status = obj.get("status") if obj.get("kind") == "LLMFineTune" else None
    said = {**labels, "data": obj.get("data"), "spec": obj.get("spec"), "status": status}
    return dict(_still(said))


def _still(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _still(each) for key, each in value.items() if key not in MOVING}
    return [_still(each) for each in value] if isinstance(value, list) else value
