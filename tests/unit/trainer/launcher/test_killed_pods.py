"""Whole worker pods, killed at random: every step is in the history once, and the losses are as if nothing
had happened."""

import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from llmfinetune_trainer.config.run import RunConfig

from .pods import PATIENCE, Group, tiny_config

pytestmark = pytest.mark.timeout(2 * PATIENCE)

STEPS = 150
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    return tiny_config(tmp_path_factory.mktemp("sources"), maxSteps=STEPS)


@pytest.fixture(scope="module")
def undisturbed(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """One pod that nothing happened to."""
    group = Group(tmp_path_factory.mktemp("undisturbed"), config)
    group.start()
    assert group.wait() == [0], group.logs()
    yield group
    group.close()


@pytest.fixture
def group(config: RunConfig, tmp_path: Path) -> Iterator[Group]:
    group = Group(tmp_path, config)
    yield group
    group.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_one_pods_trainer_killed_at_random_steps_leaves_the_same_curve_bit_for_bit(
    number: signal.Signals, group: Group, undisturbed: Group
) -> None:
    group.start()
    chance = Random(int(number))
    for step in sorted(chance.sample(range(5, STEPS - 20), 2)):
        group.until_step(step)
        group.kill_trainer(0, number)
    assert group.wait() == [0], group.logs()
    told, expected = group.steps(), undisturbed.steps()
    assert [line["step"] for line in told] == list(range(1, STEPS + 1))
    assert [(line["samples"], line["loss"]) for line in told] == [
        (line["samples"], line["loss"]) for line in expected
    ]
    ours, theirs = (each.layout.adapter / WEIGHTS for each in (group, undisturbed))
    assert ours.read_bytes() == theirs.read_bytes()
