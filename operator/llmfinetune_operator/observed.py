"""Everything a decision is made from, gathered once. Plain values: no client, no clock, nothing that changes.

`gather` (in `reconcile`) fills it, `decide` reads it. Live objects are the API server's JSON as it is: treat
them as read-only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from llmfinetune_trainer.config.messages import Report

Object = Mapping[str, Any]
"""A Kubernetes object as JSON."""


class Key(NamedTuple):
    """Identifies one fine-tune."""

    namespace: str
    name: str


class ChildRef(NamedTuple):
    """Identifies one object in the fine-tune's namespace."""

    api_version: str
    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class ReceivedReport:
    """The latest report of a run, and when it arrived."""

    report: Report
    received_at: datetime
    advanced_at: datetime
    """When it first told of this step, phase and share of the phase."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The world as one reconcile sees it."""

    fine_tune: Object
    """The LLMFineTune as stored, defaults applied."""
    children: Mapping[ChildRef, Object] = field(default_factory=dict)
    """Objects that the fine-tune owns or names: claim, ConfigMap, ServiceAccount and both jobs."""
    pods: tuple[Object, ...] = ()
    """Pods of the prepare Job and of the training job."""
    failed_pods: tuple[Object, ...] = ()
    """Pods that failed and are gone, the last of each name, as they were seen last by this process."""
    events: tuple[Object, ...] = ()
    """Warning events about the pods and the claim; gathered only while one of them is not running."""
    report: ReceivedReport | None = None
    """Latest progress report, None after an operator restart until the next one comes."""
    origin: Object | None = None
    """The fine-tune that `spec.resumeFrom.fineTune` names."""
    training_api_available: bool = True
    """Whether the API server knows the training job's kind."""
    apply_errors: Mapping[ChildRef, str] = field(default_factory=dict)
    """What the API server said when it refused a child in the last cycle (a webhook, a quota, a name)."""
    progress_ca: str = ""
    """PEM of the certificate authority that signs the progress endpoint's certificate."""
    watching_since: datetime | None = None
    """Since when this operator process has been there for reports to reach it."""
    last_status_write: datetime | None = None
    """When this operator process last wrote the status, None where it has not."""
