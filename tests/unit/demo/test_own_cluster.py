"""What docs/own-cluster.md tells to copy fits what it is applied to."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stack import DEPLOYMENT, TRAINER_IMAGE
from devcluster.components import TRAINING_OPERATOR

REPOSITORY = Path(__file__).parents[3]
TEXT = (REPOSITORY / "docs" / "own-cluster.md").read_text(encoding="utf-8")
OVERLAY, READER = (
    yaml.safe_load(textwrap.dedent(block))
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```", TEXT, flags=re.MULTILINE | re.DOTALL)
)


@pytest.fixture
def container() -> dict[str, Any]:
    deployment = yaml.safe_load((REPOSITORY / "deploy/kustomize/base/deployment.yaml").read_text())
    [found] = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_overlay_names_the_operators_image(container: dict[str, Any]) -> None:
    [image] = OVERLAY["images"]
    assert image["name"] == container["image"]
    assert f"{image['newName']}:{image['newTag']}" in TEXT


def test_the_overlay_names_the_trainers_image(container: dict[str, Any]) -> None:
    [patch] = OVERLAY["patches"]
    [change] = yaml.safe_load(patch["patch"])
    assert patch["target"] == {"kind": "Deployment", "name": DEPLOYMENT}
    index = int(change["path"].split("/")[-2])
    assert container["env"][index]["name"] == TRAINER_IMAGE
    assert READER["spec"]["containers"][0]["image"] == change["value"]


def test_the_training_operator_is_the_one_that_the_tests_run() -> None:
    assert f"standalone?ref=v{TRAINING_OPERATOR.version}" in TEXT
