"""One fine-tune as the policies see it: its parsed spec, what was known of it, and its live objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from pydantic import ValidationError

from llmfinetune_operator.api.v1alpha1 import LLMFineTuneSpec, LLMFineTuneStatus, run_config
from llmfinetune_operator.backends.base import Backend, JobState
from llmfinetune_operator.constants import ANNOTATION_ATTEMPT, COMPONENT_PREPARE, COMPONENT_WORKER
from llmfinetune_operator.observed import ChildRef, Object, Observed
from llmfinetune_operator.policies import jobs, pods
from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.metadata import Owner
from llmfinetune_operator.resources.pod import attempt_of_pod
from llmfinetune_operator.settings import Settings
from llmfinetune_trainer.config.messages import Report
from llmfinetune_trainer.config.run import RunConfig


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything a policy may ask about. Nothing in it changes."""

    owner: Owner
    generation: int
    spec: LLMFineTuneSpec
    previous: LLMFineTuneStatus
    """The status as stored. It is the operator's only memory."""
    observed: Observed
    settings: Settings
    now: datetime
    backend: Backend

    @classmethod
    def of(cls, observed: Observed, settings: Settings, now: datetime, backend: Backend) -> Self:
        """Parses the fine-tune.

        Raises:
            pydantic.ValidationError: the spec is not one that this version understands.
        """
        fine_tune = observed.fine_tune
        return cls(
            owner=Owner.of(fine_tune),
            generation=fine_tune["metadata"].get("generation", 1),
            spec=LLMFineTuneSpec.model_validate(fine_tune["spec"]),
            previous=parse_status(fine_tune),
            observed=observed,
            settings=settings,
            now=now,
            backend=backend,
        )

    @cached_property
    def run_config(self) -> RunConfig:
        """What the trainer is asked to compute, with the remedies that earlier failures made needed."""
        config = run_config(self.owner.name, self.owner.namespace, self.spec, origin=self.origin)
        remedies = [remedy.micro_batch_tokens for remedy in self.previous.remedies]
        tokens = [config.runtime.micro_batch_tokens, *remedies]
        least = min((each for each in tokens if each is not None), default=None)
        runtime = config.runtime.model_copy(update={"micro_batch_tokens": least})
        return config.model_copy(update={"runtime": runtime})

    @cached_property
    def origin(self) -> str | None:
        """The source that `resumeFrom` stands for, None where it is not known. It is not forgotten when the
        other fine-tune is deleted."""
        resume, other, known = self.spec.resume_from, self.observed.origin, self.previous.resumed_from
        if resume is None or resume.fine_tune is None:
            return None if resume is None else resume.source
        if other is not None:
            storage = other["spec"].get("storage") or {}
            return names.workspace(resume.fine_tune, storage.get("existingClaim"))
        return known if known and names.is_workspace_of(known, resume.fine_tune) else None

    @property
    def suspended(self) -> bool:
        """Whether the user asks for a pause."""
        return self.spec.run_policy.suspend

    @property
    def queue(self) -> str | None:
        """The queue that says when jobs run."""
        return self.spec.run_policy.queue_name

    @property
    def job_in_queue(self) -> Object | None:
        """The unfinished job that a queue decides about: the training job, else the prepare Job."""
        training, prepare = self.training_job, self.prepare_job
        if self.queue is None:
            return None
        if training is not None and self.backend.state(training) is JobState.ACTIVE:
            return training
        return None if prepare is None or jobs.is_over(prepare) else prepare

    @property
    def is_held(self) -> bool:
        """Whether the job that is to run waits for its queue."""
        job = self.job_in_queue
        if job is None or self.suspended:
            return False
        return self.backend.is_suspended(job) if job is self.training_job else jobs.is_suspended(job)

    @property
    def is_paused(self) -> bool:
        """Whether nothing is meant to run now: the user asks for a pause, or a queue holds the job."""
        return self.suspended or self.is_held

    @property
    def claim_name(self) -> str:
        """The claim that holds the workspace."""
        return self.spec.storage.existing_claim or names.claim(self.owner.name)

    @property
    def claim(self) -> Object | None:
        """The live claim."""
        return self.child(ChildRef("v1", "PersistentVolumeClaim", self.claim_name))

    @property
    def prepare_ref(self) -> ChildRef:
        """Identity of the prepare Job."""
        return ChildRef("batch/v1", "Job", names.prepare_job(self.owner.name))

    @property
    def prepare_job(self) -> Object | None:
        """The live prepare Job."""
        return self.child(self.prepare_ref)

    @property
    def training_ref(self) -> ChildRef:
        """Identity of the training job."""
        return self.backend.ref(self.owner.name)

    @property
    def training_job(self) -> Object | None:
        """The live training job."""
        return self.child(self.training_ref)

    @property
    def attempt(self) -> int:
        """The attempt at training that is meant to be going on, 0 before the first."""
        return max(self.previous.attempt or 0, attempt_of(self.training_job) or 0)

    @property
    def is_outdated(self) -> bool:
        """Whether the live training job is of an earlier attempt and has to make room."""
        attempt = attempt_of(self.training_job)
        return attempt is not None and attempt < self.attempt

    @property
    def replicas(self) -> int:
        """Workers wanted."""
        return self.spec.workers.replicas

    @cached_property
    def prepare_pods(self) -> tuple[Object, ...]:
        """Pods of the prepare Job, oldest first."""
        return pods.of_component(self._own_pods, COMPONENT_PREPARE)

    @cached_property
    def worker_pods(self) -> tuple[Object, ...]:
        """Pods of the training job, oldest first."""
        return pods.of_component(self._own_pods, COMPONENT_WORKER)

    @property
    def named_like_workers(self) -> tuple[Object, ...]:
        """Pods that have workers' names: also of an attempt before, or of an earlier namesake."""
        return pods.of_component(self.observed.pods, COMPONENT_WORKER)

    @cached_property
    def _own_pods(self) -> tuple[Object, ...]:
        """Pods that were made for this fine-tune and not for an earlier one of its name."""
        made_for = ((pod, attempt_of_pod(pod)) for pod in self.observed.pods)
        uid = self.owner.uid
        return tuple(pod for pod, attempt in made_for if not attempt or names.is_attempt_of(uid, attempt))

    @property
    def report(self) -> Report | None:
        """The latest progress report, where it is about this fine-tune and not an earlier one of its name."""
        received = self.observed.report
        if received is None or not names.is_attempt_of(self.owner.uid, received.report.attempt):
            return None
        return received.report

    def child(self, ref: ChildRef) -> Object | None:
        """A live child. What somebody else made under its name is none: nothing follows from it."""
        live = self.observed.children.get(ref)
        is_named = ref.kind == "PersistentVolumeClaim" and ref.name == self.spec.storage.existing_claim
        return live if live is None or is_named or self.owner.owns(live) else None

    def condition_is_true(self, kind: str) -> bool:
        """Whether the stored status has this condition as True."""
        return any(c.type == kind and c.status == "True" for c in self.previous.conditions)


def parse_status(fine_tune: Object) -> LLMFineTuneStatus:
    """The stored status; one that a hand broke counts as empty."""
    try:
        return LLMFineTuneStatus.model_validate(fine_tune.get("status") or {})
    except ValidationError:
        return LLMFineTuneStatus()


def attempt_of(job: Object | None) -> int | None:
    """Which attempt a training job is, None where there is no job or a hand took its annotation away."""
    text = annotation(job, ANNOTATION_ATTEMPT) or ""
    return int(text) if text.isdecimal() else None


def annotation(obj: Object | None, key: str) -> str | None:
    """An annotation of a live object."""
    annotations: Mapping[str, Any] = (obj or {}).get("metadata", {}).get("annotations") or {}
    return annotations.get(key)
