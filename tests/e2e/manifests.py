"""Builders of the manifests and data that the end-to-end tests apply."""

import copy
import json
from typing import Any

from demo.objects import MODEL_CLAIM, MODEL_FILE

DATA = "e2e-data"
ROWS = 240


def rows(count: int = ROWS) -> str:
    """Returns small, all different question-and-answer rows in the Alpaca format, as JSON Lines."""
    return "".join(
        json.dumps(
            {"instruction": f"What is {i} plus {i + 3}?", "input": "", "output": f"It is {2 * i + 3}."}
        )
        + "\n"
        for i in range(count)
    )


DATA_FILES = {
    "train.jsonl": rows(),
    "wrong-columns.jsonl": json.dumps({"question": "a", "answer": "b"}) + "\n",
    "no-answers.jsonl": json.dumps({"instruction": "a", "input": "", "output": ""}) + "\n",
    "empty.jsonl": "\n",
}


def fine_tune(name: str, **spec: Any) -> dict[str, Any]:
    """Returns a small fine-tune; keyword arguments are merged into its spec, deeply."""
    base: dict[str, Any] = {
        "model": {"source": f"pvc://{MODEL_CLAIM}/{MODEL_FILE}"},
        "dataset": {"source": f"configMap://{DATA}/train.jsonl", "format": "alpaca", "validationSplit": 0.1},
        "method": {"lora": {"rank": 4, "targetModules": ["q_proj", "v_proj"]}},
        "training": {"maxSteps": 12, "batchSize": 8, "maxSequenceLength": 128, "learningRate": 1.0e-3},
        "checkpoint": {"everySteps": 2, "everySeconds": 5},
        "workers": {
            "replicas": 1,
            "minReplicas": 1,
            "maxReplicas": 2,
            # Two workers and the control plane share two cores: request little, limit to both.
            "resources": {
                "requests": {"cpu": "100m", "memory": "1Gi"},
                "limits": {"cpu": "2", "memory": "4Gi"},
            },
        },
        "storage": {"size": "2Gi", "retain": False},
    }
    return {
        "apiVersion": "llmfinetune.dev/v1alpha1",
        "kind": "LLMFineTune",
        "metadata": {"name": name},
        "spec": merged(base, spec),
    }


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Returns `base` with `change` merged in: mappings deeply, everything else replaced."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result
