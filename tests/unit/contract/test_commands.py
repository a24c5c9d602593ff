"""What the operator's pods are started with, the trainer's command line understands."""

from typing import Any

import pytest

from llmfinetune_trainer.cli.main import parser
from tests.unit.operator.decide.world import JOB, PREPARE, World


def command(world: World, child: str) -> list[str]:
    prepare = world.children[PREPARE]["spec"]["template"]["spec"]
    specs: dict[str, dict[str, Any]] = {"prepare": prepare}
    if child == "worker":
        replicas = world.children[JOB]["spec"]["pytorchReplicaSpecs"]
        specs["worker"] = replicas["Worker"]["template"]["spec"]
    words: list[str] = specs[child]["containers"][0]["command"]
    return words


@pytest.mark.parametrize("child", ["prepare", "worker"])
def test_pod_command_is_understood(child: str) -> None:
    program, *arguments = command(World().prepared(), child)
    assert program == "llmfinetune"
    options = parser().parse_args(arguments)
    assert str(options.config) == "/etc/llmfinetune/run.json"
    assert str(options.workspace) == "/workspace"
