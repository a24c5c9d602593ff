"""A cluster in memory: applies decisions like the API server, and lets a test play the controllers."""

import copy
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from llmfinetune_operator.constants import (
    COMPONENT_PREPARE,
    COMPONENT_WORKER,
    CONTAINER_PREPARE,
    LABEL_COMPONENT,
    LABEL_NAME,
)
from llmfinetune_operator.decide import decide
from llmfinetune_operator.decision import Decision
from llmfinetune_operator.drift import needs_apply
from llmfinetune_operator.observed import ChildRef, Observed, ReceivedReport
from llmfinetune_operator.progress.reports import received
from llmfinetune_operator.resources import names
from llmfinetune_operator.settings import Settings
from llmfinetune_operator.times import format_time
from llmfinetune_trainer.config.messages import (
    NO_CHECKPOINT,
    CheckpointFacts,
    Failure,
    Report,
    Result,
    TerminationMessage,
)

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SETTINGS = Settings(trainer_image="trainer:1")
DIGEST = "sha256:" + "a" * 64
UID = "11111111-2222-3333-4444-555555555555"
CLAIM = ChildRef("v1", "PersistentVolumeClaim", "medical")
PREPARE = ChildRef("batch/v1", "Job", "medical-prepare")
POD_REASONS = {
    "Evicted",
    "NodeLost",
    "NodeShutdown",
    "OutOfcpu",
    "OutOfmemory",
    "Preempting",
    "Shutdown",
    "Terminated",
}
JOB = ChildRef("kubeflow.org/v1", "PyTorchJob", "medical")


def spec(**changes: Any) -> dict[str, Any]:
    """A small valid spec, with whole sections replaced."""
    base: dict[str, Any] = {
        "model": {"source": "hf://HuggingFaceTB/SmolLM2-135M-Instruct"},
        "dataset": {"source": "configMap://flashcards/cards.jsonl"},
        "method": {"lora": {}},
        "workers": {"replicas": 2, "minReplicas": 1, "maxReplicas": 4},
    }
    return base | changes


class World:
    """One fine-tune, its children and pods, and the clock."""

    def __init__(self, **changes: Any) -> None:
        self.now = START
        self.settings = SETTINGS
        self.fine_tune: dict[str, Any] = {
            "metadata": {"name": "medical", "namespace": "ml", "uid": UID, "generation": 1},
            "spec": spec(**changes),
        }
        self.children: dict[ChildRef, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.failed_pods: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.origin: dict[str, Any] | None = None
        self.report: ReceivedReport | None = None
        self.apply_errors: dict[ChildRef, str] = {}
        self.training_api_available = True
        self.watching_since = START
        self.last_status_write: datetime | None = None
        self.silent_nodes: set[str] = set()
        self.posted: list[str] = []
        self.counted: list[str] = []
        self._uids = itertools.count(1)

    # --- the operator ---

    def observed(self) -> Observed:
        """A snapshot, as the shell gathers it."""
        return Observed(
            fine_tune=copy.deepcopy(self.fine_tune),
            children=copy.deepcopy(self.children),
            pods=tuple(copy.deepcopy(list(self.pods.values()))),
            failed_pods=tuple(self.failed_pods),
            events=tuple(self.events),
            origin=copy.deepcopy(self.origin),
            report=self.report,
            training_api_available=self.training_api_available,
            apply_errors=dict(self.apply_errors),
            progress_ca="PEM",
            watching_since=self.watching_since,
            last_status_write=self.last_status_write,
        )

    def decide(self) -> Decision:
        """What the operator wants now."""
        return decide(self.observed(), self.settings, self.now)

    def reconcile(self) -> int:
        """One cycle: decides and acts. Returns the number of writes."""
        decision = self.decide()
        if decision.forget_report:
            self.report = None
        writes = self._write_status(decision) + sum(self._apply(obj) for obj in decision.apply)
        writes += sum(
            self._delete(deletion.ref, deletion.uid, at_once=deletion.at_once) for deletion in decision.delete
        )
        return writes

    def settle(self, limit: int = 12) -> None:
        """Reconciles until nothing is written any more."""
        for _ in range(limit):
            if not self.reconcile():
                return
        raise AssertionError("the operator does not come to rest")

    def _write_status(self, decision: Decision) -> int:
        if decision.status == self.fine_tune.get("status", {}):
            return 0
        self.fine_tune["status"] = copy.deepcopy(decision.status)
        self.last_status_write = self.now
        self.posted += [event.reason for event in decision.events]
        self.counted += [decision.failure.category] if decision.failure else []
        return 1

    def _apply(self, obj: Any) -> int:
        ref = ChildRef(obj["apiVersion"], obj["kind"], obj["metadata"]["name"])
        live = self.children.get(ref)
        if ref in self.apply_errors or (live is not None and not needs_apply(obj, live)):
            return 0
        metadata = (
            live["metadata"] if live else {"uid": self.uid(), "creationTimestamp": format_time(self.now)}
        )
        applied = copy.deepcopy(dict(obj))
        applied["metadata"] = metadata | applied["metadata"]
        applied["status"] = live.get("status", {}) if live else {}
        self.children[ref] = applied
        return 1

    def _delete(self, ref: ChildRef, uid: str, *, at_once: bool) -> int:
        if ref.kind == "Pod":
            assert at_once
            assert self.pods.pop(ref.name)["metadata"]["uid"] == uid
            return 1
        assert self.children[ref]["metadata"]["uid"] == uid
        self.lose(ref)
        return 1

    # --- the cluster ---

    def uid(self) -> str:
        """A new identity."""
        return f"uid-{next(self._uids)}"

    def lose(self, ref: ChildRef) -> None:
        """An object is deleted, and what it owns with it; pods of a silent node are only told to go."""
        uid = self.children.pop(ref)["metadata"]["uid"]
        owned = {name: pod for name, pod in self.pods.items() if pod["owner"] == uid}
        for name, pod in owned.items():
            if pod["spec"].get("nodeName") not in self.silent_nodes:
                del self.pods[name]
            else:
                self.tell_to_go(pod)

    def tell_to_go(self, pod: dict[str, Any]) -> None:
        """A pod is deleted, and has its grace to end."""
        gone_at = format_time(self.now + timedelta(seconds=pod["spec"].get("grace", 25)))
        pod["metadata"].setdefault("deletionTimestamp", gone_at)

    def live_for(self, seconds: float) -> None:
        """Time passes, and the operator wakes up whenever it asked to."""
        end = self.now + timedelta(seconds=seconds)
        while True:
            self.settle()
            wake_at = self.decide().wake_at
            if self.now >= end or wake_at is None or wake_at >= end:
                break
            self.now = max(wake_at, self.now + timedelta(seconds=1))
        self.now = max(self.now, end)
        self.settle()

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    def edit(self, **sections: Any) -> None:
        """The user changes sections of the spec."""
        self.fine_tune["spec"] |= sections
        self.fine_tune["metadata"]["generation"] += 1

    def bind(self) -> None:
        """The claim gets a volume."""
        self.children[CLAIM]["status"] = {"phase": "Bound"}

    def pod(self, name: str, owner: ChildRef, phase: str = "Running", **status: Any) -> dict[str, Any]:
        """A pod of a job, in some state."""
        component = COMPONENT_PREPARE if owner == PREPARE else COMPONENT_WORKER
        template = self._template(owner)
        ready = {"type": "Ready", "status": "True" if phase == "Running" else "False"}
        pod = {
            "metadata": {
                "name": name,
                "uid": self.uid(),
                "labels": {LABEL_NAME: "medical", LABEL_COMPONENT: component},
                "creationTimestamp": format_time(self.now),
            },
            "spec": {"containers": copy.deepcopy(template["spec"]["containers"])},
            "status": {"phase": phase, "conditions": [ready]} | status,
            "owner": self.children[owner]["metadata"]["uid"],
        }
        self.pods[name] = pod
        return pod

    def _template(self, owner: ChildRef) -> dict[str, Any]:
        """The pod template of a job."""
        spec = self.children[owner]["spec"]
        template = spec["template"] if owner == PREPARE else spec["pytorchReplicaSpecs"]["Worker"]["template"]
        return dict(template)

    def end(self, name: str, code: int, message: str = "", reason: str = "Error") -> None:
        """A pod's container ends."""
        terminated = {
            "exitCode": code,
            "message": message,
            "reason": reason,
            "finishedAt": format_time(self.now),
        }
        container = self.pods[name]["spec"]["containers"][0]["name"]
        status = {"phase": "Failed" if code else "Succeeded"}
        ended = {"name": container, "state": {"terminated": terminated}}
        self.pods[name]["status"] = status | {"containerStatuses": [ended]}

    def disrupt(self, name: str, word: str, code: int | None = 143) -> None:
        """The cluster ends a pod: by a reason of the pod itself, or by its condition DisruptionTarget."""
        if code is not None:
            self.end(name, code)
        status = self.pods[name]["status"]
        status["phase"] = "Failed"
        if word in POD_REASONS:
            status["reason"] = word
        else:
            target = {"type": "DisruptionTarget", "status": "True", "reason": word}
            status["conditions"] = [*status.get("conditions", ()), target]

    def replace(self, name: str) -> None:
        """The training operator makes the pod anew, where the job still wants it."""
        job = self.children.get(JOB)
        is_wanted = job is not None and not job["status"] and not job["spec"]["runPolicy"]["suspend"]
        if is_wanted:
            self.pod(name, JOB)

    def checkpoint(self, step: int, **fields: Any) -> None:
        """A trainer reports a checkpoint."""
        self.told(step=step, total_steps=1000, checkpoint=self._checkpoint(step), **fields)

    def went_on_from(self, step: int | None, **fields: Any) -> None:
        """A trainer starts, and reports which checkpoint it found whole, None where there was none."""
        found = NO_CHECKPOINT if step is None else self._checkpoint(step)
        self.told(step=step or 0, total_steps=1000, checkpoint=found, **fields)

    def _checkpoint(self, step: int) -> CheckpointFacts:
        return CheckpointFacts(
            step=step,
            time=format_time(self.now),
            path=f"checkpoints/{step}",
            size_bytes=step,
            verified=True,
            resumable=True,
        )

    def finish_job(self, ref: ChildRef, kind: str, message: str = "") -> None:
        """A job ends: kind is Complete or Failed (Job), Succeeded or Failed (PyTorchJob)."""
        time = format_time(self.now)
        condition = {"type": kind, "status": "True", "lastTransitionTime": time, "message": message}
        self.children[ref]["status"] = {"conditions": [condition], "completionTime": time}

    # --- shorthands ---

    def prepared(self) -> "World":
        """Up to the running training job's creation."""
        self.settle()
        self.bind()
        self.pod("medical-prepare-x", PREPARE)
        self.settle()
        self.end("medical-prepare-x", 0)
        self.finish_job(PREPARE, "Complete")
        self.settle()
        return self

    def training(self) -> "World":
        """Up to running workers."""
        self.prepared()
        self.start_workers()
        self.settle()
        return self

    def start_workers(self, replicas: int | None = None) -> None:
        """The training operator makes the pods that the job asks for."""
        wanted = replicas or self.children[JOB]["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"]
        for index in range(wanted):
            self.pod(names.worker_pod("medical", index), JOB)

    def told(self, **fields: Any) -> None:
        """A trainer reports."""
        values = {"attempt": names.attempt_id(UID, self.status["attempt"]), "phase": "Training"} | fields
        self.report = received(self.report, Report(**values), now=self.now)

    def result(self) -> Result:
        """The result of the attempt that is going on."""
        attempt = names.attempt_id(UID, self.status["attempt"])
        return Result(
            attempt=attempt, adapter="output/adapter", sha256=DIGEST, steps=10, loss=1.5, eval_loss=1.6
        )

    def snapshot(self) -> dict[str, Any]:
        """Everything that changes, to come back to."""
        fixed = {"settings": self.settings, "_uids": self._uids, "report": self.report}
        return fixed | copy.deepcopy({k: v for k, v in vars(self).items() if k not in fixed})

    def restore(self, saved: dict[str, Any]) -> None:
        """Comes back to a snapshot."""
        vars(self).update(saved)

    def contents(self) -> dict[ChildRef, dict[str, Any]]:
        """What the children say, without what tells one incarnation from another."""
        contents = copy.deepcopy(self.children)
        for child in contents.values():
            child["metadata"].pop("uid")
        return contents

    @property
    def status(self) -> dict[str, Any]:
        """The stored status."""
        status: dict[str, Any] = self.fine_tune["status"]
        return status

    @property
    def phase(self) -> str:
        """The stored phase."""
        return str(self.status["phase"])

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        found = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found["status"], found["reason"]


def waiting(reason: str, message: str = "", container: str = CONTAINER_PREPARE) -> dict[str, Any]:
    """Status of a pod whose container cannot start."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": container, "state": state}]}


def failure_message(category: str, reason: str, *, retryable: bool = False) -> str:
    """A termination message with a failure."""
    told = Failure(
        category=category,  # type: ignore[arg-type]
        reason=reason,
        retryable=retryable,
        message="what was wrong",
        hint="what to do",
    )
    return TerminationMessage(attempt="a", failure=told).model_dump_json(by_alias=True)
