"""A stand-in for Kueue, which cannot be built here: it does to jobs what Kueue's webhook and controller do.

What it copies, for `batch/v1` Jobs and PyTorchJobs with the label of a queue:

- the webhook suspends a job when it is made (`kueue_webhook`);
- a suspended job without active pods gets a Workload: a copy of its pod template and its count;
- a Workload is admitted when the quota has room: the job is started by one update that also puts the flavor's
  node selector and tolerations and the label of the pod set into its template;
- a job that runs without an admission is suspended; one that is suspended with an admission is started again;
- a running job whose count or template is no longer what was admitted is suspended, its template restored,
  and its Workload deleted, so that it waits anew;
- an evicted PyTorchJob is suspended and its template restored; its quota is free once no pod of it is active;
- a job that has ended, or is gone, gives its quota back.

Workloads are kept in memory, queues are not told apart, and a quota is a number of pods.
"""

import copy
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.api.client import Client, Json
from tests.api.queue.kueue_webhook import QUEUE_LABEL, is_suspended

FLAVOR_SELECTOR = {"pool": "spare"}
FLAVOR_TOLERATION = {"key": "spare", "operator": "Exists", "effect": "NoSchedule"}
POD_SET_LABEL = "kueue.x-k8s.io/podset"
LISTS = {"Job": "/apis/batch/v1/jobs", "PyTorchJob": "/apis/kubeflow.org/v1/pytorchjobs"}
PERIOD_SECONDS = 0.05


@dataclass
class Workload:
    """What a job asks for, and whether it has it."""

    count: int
    template: Json
    admitted: bool = False
    evicted: bool = False

    @property
    def running_template(self) -> Json:
        """The template as the flavor makes it."""
        merged = copy.deepcopy(self.template)
        labels = merged.setdefault("metadata", {}).setdefault("labels", {})
        labels[POD_SET_LABEL] = "main"
        spec = merged["spec"]
        spec["nodeSelector"] = {**FLAVOR_SELECTOR, **spec.get("nodeSelector", {})}
        spec["tolerations"] = [*spec.get("tolerations", []), FLAVOR_TOLERATION]
        return merged


@dataclass
class Kueue:
    """Reconciles all queued jobs in a thread of its own, as a context. `quota` is a number of pods.

    It must see every job from the beginning: it knows an admission only from its own memory.
    """

    client: Client
    quota: int = 0
    told: list[str] = field(default_factory=list)
    """What it did, in order."""

    def __post_init__(self) -> None:
        self._workloads: dict[str, Workload] = {}
        self._evict: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kueue", daemon=True)

    def __enter__(self) -> "Kueue":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def evict(self, uid: str) -> None:
        """Take the admission of a job back."""
        with self._lock:
            self._evict.add(uid)

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            with self._lock:
                jobs = [job for kind in LISTS for job in self._list(kind)]
                live = {job["metadata"]["uid"] for job in jobs if not _is_over(job)}
                self._workloads = {uid: each for uid, each in self._workloads.items() if uid in live}
                for job in jobs:
                    if not _is_over(job) and not job["metadata"].get("deletionTimestamp"):
                        self._reconcile(job)

    def _list(self, kind: str) -> list[Json]:
        answer = self.client.request("GET", f"{LISTS[kind]}?labelSelector={QUEUE_LABEL}")
        items = answer.body.get("items") or () if answer.status == 200 else ()
        return [{**item, "kind": kind} for item in items]

    def _reconcile(self, job: Json) -> None:
        uid = job["metadata"]["uid"]
        workload = self._workloads.get(uid)
        if workload is not None and not _matches(job, workload):
            del self._workloads[uid]
            if not is_suspended(job):
                self._stop_job(job, workload, "NoMatchingWorkload")
            return
        if workload is None:
            self._without_workload(job)
        elif uid in self._evict:
            self._evicted(job, workload)
        elif is_suspended(job):
            self._suspended(job, workload)
        elif not workload.admitted:
            self._stop_job(job, workload, "NotAdmitted")

    def _without_workload(self, job: Json) -> None:
        if not is_suspended(job):
            self._stop_job(job, None, "NoMatchingWorkload")
        elif not _has_active_pods(job):
            workload = Workload(count=_count(job), template=copy.deepcopy(_template(job)))
            self._workloads[job["metadata"]["uid"]] = workload

    def _evicted(self, job: Json, workload: Workload) -> None:
        if not is_suspended(job):
            self._stop_job(job, workload, "WorkloadEvicted")
        elif not _has_active_pods(job):
            workload.admitted = False
            self._evict.discard(job["metadata"]["uid"])

    def _suspended(self, job: Json, workload: Workload) -> None:
        used = sum(each.count for each in self._workloads.values() if each.admitted)
        if workload.admitted or used + workload.count <= self.quota:
            workload.admitted = True
            self._patch(job, suspend=False, template=workload.running_template, why="Started")

    def _stop_job(self, job: Json, workload: Workload | None, why: str) -> None:
        self._patch(job, suspend=True, template=workload.template if workload else None, why=why)

    def _patch(self, job: Json, *, suspend: bool, template: Json | None, why: str) -> None:
        """One merge patch that fails where the job has changed since it was read."""
        metadata = job["metadata"]
        changed: Json = {"suspend": suspend} if job["kind"] == "Job" else {"runPolicy": {"suspend": suspend}}
        if template is not None:
            changes = _template_changes(_template(job), template)
            changed |= (
                {"template": changes}
                if job["kind"] == "Job"
                else {"pytorchReplicaSpecs": {"Worker": {"template": changes}}}
            )
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": changed}
        root = LISTS[job["kind"]].rpartition("/")
        path = f"{root[0]}/namespaces/{metadata['namespace']}/{root[2]}/{metadata['name']}"
        answer = self.client.request(
            "PATCH", f"{path}?fieldManager=kueue", body, content_type="application/merge-patch+json"
        )
        assert answer.status in (200, 404, 409), answer.body
        if answer.status == 200:
            self.told.append(f"{why} {job['kind']} {metadata['name']}")


def _template(job: Json) -> Json:
    spec = job["spec"]
    holder: Json = spec if job["kind"] == "Job" else spec["pytorchReplicaSpecs"]["Worker"]
    found: Json = holder["template"]
    return found


def _count(job: Json) -> int:
    spec = job["spec"]
    is_batch = job["kind"] == "Job"
    return int(spec["parallelism"] if is_batch else spec["pytorchReplicaSpecs"]["Worker"]["replicas"])


def _placing(template: Json) -> Json:
    """What of a template Kueue may change."""
    metadata, spec = template.get("metadata") or {}, template["spec"]
    return {
        "labels": metadata.get("labels") or {},
        "annotations": metadata.get("annotations") or {},
        "nodeSelector": spec.get("nodeSelector") or {},
        "tolerations": spec.get("tolerations") or [],
    }


def _rest(template: Json) -> Json:
    """What of a template must be as it was when the Workload was made: what the pods ask for."""
    spec = template["spec"]
    return {
        "containers": [each.get("resources") for each in spec["containers"]],
        "priorityClassName": spec.get("priorityClassName"),
    }


def _matches(job: Json, workload: Workload) -> bool:
    expected = workload.running_template if workload.admitted else workload.template
    found = _template(job)
    same_place = _placing(found) == _placing(expected)
    if is_suspended(job):
        same_place = same_place or _placing(found) == _placing(workload.template)
    return _count(job) == workload.count and _rest(found) == _rest(workload.template) and same_place


def _template_changes(live: Json, wanted: Json) -> Json:
    """A merge patch of what Kueue may change, taking out what is not wanted."""
    now, then = _placing(live), _placing(wanted)
    maps: dict[str, Any] = {
        name: {**dict.fromkeys(now[name]), **then[name]} for name in ("labels", "annotations", "nodeSelector")
    }
    return {
        "metadata": {"labels": maps["labels"], "annotations": maps["annotations"]},
        "spec": {"nodeSelector": maps["nodeSelector"], "tolerations": then["tolerations"] or None},
    }


def _has_active_pods(job: Json) -> bool:
    status = job.get("status") or {}
    if job["kind"] == "Job":
        return bool(status.get("active"))
    return any(each.get("active") for each in (status.get("replicaStatuses") or {}).values())


def _is_over(job: Json) -> bool:
    ends = {"Complete", "Failed", "Succeeded"}
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each["type"] in ends and each["status"] == "True" for each in conditions)
