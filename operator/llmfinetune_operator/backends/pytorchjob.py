"""Workers as an elastic PyTorchJob of Kubeflow's training operator (v1.9), with Worker replicas only.

Without a master any worker may leave, and one worker is enough. In exchange the job counts as succeeded as
soon as any worker ends with 0, so that `policies.completion` asks for the result as well.
"""

from datetime import datetime
from typing import Any, Final

from llmfinetune_operator.backends.base import JobState, Workers
from llmfinetune_operator.constants import (
    ANNOTATION_ATTEMPT,
    ANNOTATION_IMAGE,
    ANNOTATION_TEMPLATE_HASH,
    COMPONENT_WORKER,
    CONTAINER_WORKER,
    LABEL_COMPONENT,
    LABEL_NAME,
)
from llmfinetune_operator.observed import ChildRef, Object
from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.metadata import child_metadata
from llmfinetune_operator.resources.pod import pod_template
from llmfinetune_operator.times import parse_time

TORCHRUN_RESTARTS = 2
"""Crashes that are healed inside a pod, in seconds. Few: the operator sees one, and waits before the next
try, only when the pod ends. Losing a peer uses none up."""
LAST_CALL_SECONDS = 5
"""How long a rendezvous that has its least number of workers waits for more."""
HOSTNAME = "kubernetes.io/hostname"
_OFF_THE_HOST: Final = {"hostNetwork": False, "hostPID": False, "hostIPC": False}
"""Spelled out, because only a field that is applied can be taken back from whoever else sets it."""


class PyTorchJobBackend:
    """Implements `Backend`."""

    def ref(self, name: str) -> ChildRef:
        """Identity of the fine-tune's PyTorchJob."""
        return ChildRef(names.TRAINING_API_VERSION, names.TRAINING_KIND, names.training_job(name))

    def workers_object(self, workers: Workers) -> dict[str, Any]:
        """The complete PyTorchJob."""
        owner = workers.pod.owner
        metadata = child_metadata(
            owner, names.training_job(owner.name), component=COMPONENT_WORKER, queue=workers.queue
        )
        metadata["annotations"] = {
            ANNOTATION_ATTEMPT: str(workers.attempt),
            ANNOTATION_IMAGE: workers.pod.image,
            ANNOTATION_TEMPLATE_HASH: workers.template_hash,
        }
        return {
            "apiVersion": names.TRAINING_API_VERSION,
            "kind": names.TRAINING_KIND,
            "metadata": metadata,
            "spec": self._spec(workers),
        }

    def _spec(self, workers: Workers) -> dict[str, Any]:
        return {
            "nprocPerNode": "1",
            "runPolicy": {"cleanPodPolicy": "Running", "suspend": workers.suspend},
            "elasticPolicy": _elastic_policy(workers),
            "pytorchReplicaSpecs": {
                "Worker": {
                    "replicas": workers.replicas,
                    "restartPolicy": "ExitCode",
                    "template": self._template(workers),
                }
            },
        }

    def _template(self, workers: Workers) -> dict[str, Any]:
        owner = workers.pod.owner
        template = pod_template(
            workers.pod,
            component=COMPONENT_WORKER,
            container=CONTAINER_WORKER,
            command="launch",
            attempt=names.attempt_id(owner.uid, workers.attempt),
            volumes=workers.volumes,
            # Workers that join later would else look for the store of the first rendezvous, and hang.
            extra_env={"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
        )
        template["spec"] |= _OFF_THE_HOST | _spread(owner.name, on_one_node=workers.on_one_node)
        return template

    def state(self, live: Object) -> JobState:
        """Where the live job stands."""
        if _condition(live, "Failed"):
            return JobState.FAILED
        return JobState.SUCCEEDED if _condition(live, "Succeeded") else JobState.ACTIVE

    def is_suspended(self, live: Object) -> bool:
        """Whether the live job has no pods for now, and is to have none."""
        return bool(live["spec"].get("runPolicy", {}).get("suspend"))

    def replicas(self, live: Object) -> int:
        """How many workers the live job asks for."""
        return int(live["spec"]["pytorchReplicaSpecs"]["Worker"].get("replicas", 1))

    def finished_at(self, live: Object) -> datetime | None:
        """When it succeeded or failed, None while it has not."""
        condition = _condition(live, "Failed") or _condition(live, "Succeeded")
        return parse_time(condition.get("lastTransitionTime")) if condition else None

    def failure_message(self, live: Object) -> str:
        """Why it failed, in its own words; empty where it has not."""
        condition = _condition(live, "Failed")
        return str(condition.get("message", "")) if condition else ""


def _elastic_policy(workers: Workers) -> dict[str, Any]:
    return {
        "minReplicas": workers.min_replicas,
        "maxReplicas": workers.max_replicas,
        "maxRestarts": TORCHRUN_RESTARTS,
        "rdzvBackend": "c10d",
        "rdzvId": names.attempt_id(workers.pod.owner.uid, workers.attempt),
        "rdzvConf": [{"key": "last_call_timeout", "value": str(LAST_CALL_SECONDS)}],
    }


def _spread(name: str, *, on_one_node: bool) -> dict[str, Any]:
    """Workers sit together where the volume needs it, and apart where it allows it.

    A volume for one node would leave pods elsewhere waiting for its attachment for ever. The scheduler lets
    the first pod of a group pass an affinity to its own group, so that a required affinity does not lock
    itself out.
    """
    selector = {"matchLabels": {LABEL_NAME: name, LABEL_COMPONENT: COMPONENT_WORKER}}
    if on_one_node:
        term = {"topologyKey": HOSTNAME, "labelSelector": selector}
        return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    constraint = {
        "maxSkew": 1,
        "topologyKey": HOSTNAME,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": selector,
    }
    return {"topologySpreadConstraints": [constraint]}


def _condition(live: Object, kind: str) -> Object | None:
    conditions = live.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)
