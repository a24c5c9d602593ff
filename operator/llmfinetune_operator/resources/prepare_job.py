"""The Job that fetches, checks and prepares model and data before any worker starts."""

from collections.abc import Sequence
from typing import Any

from llmfinetune_operator.constants import ANNOTATION_TEMPLATE_HASH, COMPONENT_PREPARE, CONTAINER_PREPARE
from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.content_hash import content_hash
from llmfinetune_operator.resources.metadata import child_metadata
from llmfinetune_operator.resources.pod import PodSettings, pod_template
from llmfinetune_operator.resources.volumes import Volume

RETRIES = 4
"""How often a failure that may pass (network, eviction, a node) is tried again; the Job doubles its waits
from 10 s."""
LARGEST_FINAL_EXIT_CODE = 127
"""Exit codes up to here name a cause that stays: the manifest, the data, a defect."""


def prepare_job(
    pod: PodSettings,
    *,
    attempt: str,
    volumes: Sequence[Volume],
    suspend: bool,
    queue: str | None,
) -> dict[str, Any]:
    """Complete Job that runs `llmfinetune prepare`.

    A Job's template cannot be changed, so its hash covers all of it: another one means another Job.
    """
    template = pod_template(
        pod,
        component=COMPONENT_PREPARE,
        container=CONTAINER_PREPARE,
        command="prepare",
        attempt=attempt,
        volumes=volumes,
    )
    template["spec"]["restartPolicy"] = "Never"
    metadata = child_metadata(
        pod.owner, names.prepare_job(pod.owner.name), component=COMPONENT_PREPARE, queue=queue
    )
    metadata["annotations"] = {ANNOTATION_TEMPLATE_HASH: content_hash(template)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": RETRIES,
            "completions": 1,
            "parallelism": 1,
            "suspend": suspend,
            "podFailurePolicy": _failure_policy(),
            "template": template,
        },
    }


def _failure_policy() -> dict[str, Any]:
    final_codes = list(range(1, LARGEST_FINAL_EXIT_CODE + 1))
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": CONTAINER_PREPARE, "operator": "In", "values": final_codes},
            },
        ]
    }
