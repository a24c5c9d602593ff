"""What Argo CD is told of a fine-tune's health names what a status really has."""

import re
from pathlib import Path
from typing import Any, get_args

import yaml

from llmfinetune_operator.api.v1alpha1 import FineTunePhase
from llmfinetune_operator.constants import API_VERSION, GROUP, KIND
from llmfinetune_operator.status.phase import TERMINAL
from tests.unit.operator.api.frozen_fields import SPEC_FIELDS
from tests.unit.operator.decide.world import World

FOLDER = Path(__file__).parents[4] / "deploy/argocd"


def document(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")))


def script() -> str:
    return str(document("argocd-cm.yaml")["data"][f"resource.customizations.health.{GROUP}_{KIND}"])


def test_conditions_and_phases_in_the_health_check_are_ours() -> None:
    world = World()
    world.settle()
    conditions = {each["type"] for each in world.status["conditions"]}
    asked = set(re.findall(r'condition\("(\w+)"\)', script()))
    (waits,) = re.findall(r"local waits = \{(.*)\}", script())
    phases = set(re.findall(r"(\w+) = true", waits))
    assert asked == {"Ready", "Stalled"} <= conditions
    assert phases
    assert phases <= set(get_args(FineTunePhase)) - TERMINAL


def test_every_end_of_the_health_check_is_a_health_that_argo_cd_knows() -> None:
    told = set(re.findall(r'return \{ status = "(\w+)"', script())) - {"Unknown"}
    assert told == {"Healthy", "Progressing", "Degraded", "Suspended"}


def test_the_number_of_workers_is_left_to_those_who_scale() -> None:
    spec = document("application.yaml")["spec"]
    (ignored,) = spec["ignoreDifferences"]
    assert (ignored["group"], ignored["kind"]) == (API_VERSION.split("/")[0], KIND)
    assert [path.strip("/").replace("/", ".") for path in ignored["jsonPointers"]] == [
        "spec.workers.replicas"
    ]
    assert "spec.workers.replicas" in SPEC_FIELDS
    assert "RespectIgnoreDifferences=true" in spec["syncPolicy"]["syncOptions"]
