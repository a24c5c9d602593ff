"""Which faults happen to which fine-tune: the table of the long suite."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from tests.chaos import faults_of_control as control
from tests.chaos import faults_of_nodes as nodes
from tests.chaos import faults_of_resources as resources
from tests.chaos import faults_of_volumes as volumes
from tests.chaos import faults_of_workers as workers
from tests.chaos import namespace_deleted
from tests.chaos.fault import Fault
from tests.chaos.tests_without_cluster import API, HISTORIES
from tests.e2e.session import Session


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run of training and the faults that happen to it, in this order."""

    name: str
    faults: Sequence[Fault]
    spec: dict[str, Any] = field(default_factory=dict)
    """What the fine-tune asks for beyond the usual."""
    place: Callable[[Session], AbstractContextManager[None]] = lambda _session: nullcontext()
    """What must be there before it."""
    claim: str | None = None
    """The claim that it works on where it is not its own."""


QUICK = (
    workers.TRAINER_KILLED,
    control.OPERATOR_KILLED,
    workers.WORKER_0_KILLED,
    control.API_SERVER_RESTARTED,
    workers.AUTOSCALED,
    workers.RANK_0_KILLED,
    workers.SCALED_DOWN,
    workers.CHECKPOINT_TRUNCATED,
    control.JOB_DELETED,
)
"""One of each kind, for every day."""

SCENARIOS = (
    Scenario(
        name="one-worker",
        faults=(
            # A lost worker soon after another is no restart of its own: others come between them.
            workers.WORKER_0_KILLED,
            workers.TRAINER_KILLED,
            workers.SUSPENDED,
            workers.POD_PREEMPTED,
            workers.TRAINER_STOPPED,
            workers.CHECKPOINT_TRUNCATED,
            workers.NODE_DRAINED,
        ),
    ),
    Scenario(
        name="two-workers",
        faults=(
            workers.SCALED_UP,
            workers.HOST_OF_TWO_KILLED,
            workers.RANK_0_KILLED,
            workers.ALL_KILLED,
            workers.SCALED_DOWN,
            workers.AUTOSCALED,
        ),
    ),
    Scenario(
        name="control",
        faults=(
            control.OPERATOR_KILLED,
            control.API_SERVER_RESTARTED,
            control.TRAINING_OPERATOR_DOWN,
            control.CONFIGURATION_EDITED,
            control.CONFIGURATION_DELETED,
            control.JOB_DELETED,
            control.SECRET_CHANGED,
        ),
        spec={"model": {"tokenSecretRef": {"name": control.SECRET}}},
        place=control.with_secret,
    ),
    Scenario(
        name="short",
        faults=(resources.OUT_OF_MEMORY, resources.STALLED, resources.NO_ROOM),
        spec={"workers": {"schedulingTimeout": resources.WAIT_FOR_NODES}},
        place=resources.impatient_operator,
    ),
    Scenario(
        name="two-nodes",
        faults=(
            nodes.SPREAD,
            nodes.NODE_LOST,
            nodes.NODE_BACK,
            nodes.NODE_RESTARTED,
            nodes.WORKER_MOVED,
        ),
        spec={"storage": {"accessModes": ["ReadWriteMany"]}, "workers": {"tolerations": [nodes.TOLERATION]}},
        place=nodes.second_node,
    ),
    Scenario(
        name="one-volume",
        faults=(nodes.TOGETHER,),
        spec={"workers": {"tolerations": [nodes.TOLERATION]}},
        place=nodes.second_node,
    ),
    Scenario(
        name="small-volume",
        faults=(volumes.VOLUME_FULL,),
        place=volumes.small_volume,
        claim=volumes.CLAIM,
    ),
)

ALL_NAMES = (
    HISTORIES.name,
    *(fault.name for scenario in SCENARIOS for fault in scenario.faults),
    namespace_deleted.NAME,
    API.name,
)
