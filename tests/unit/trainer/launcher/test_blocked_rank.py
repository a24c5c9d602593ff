"""A worker pod that is told to stop while its training process waits for a peer that says nothing."""

import signal
import time
from pathlib import Path

import pytest

from llmfinetune_trainer.config.run import CheckpointConfig

from .pods import PATIENCE, Group, tiny_config

pytestmark = pytest.mark.timeout(2 * PATIENCE)

QUIET_SECONDS = 2.0
"""Without a step for so long, the first rank waits inside of a collective."""


def test_what_a_blocked_rank_has_done_is_saved_before_its_pod_ends(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, maxSteps=10_000).model_copy(
        update={"checkpoint": CheckpointConfig(every_steps=None, every_seconds=None)}
    )
    group = Group(tmp_path / "run", config, least=2, most=2)
    try:
        group.start()
        group.start()
        group.until_step(4)
        group.kill_trainer(1, signal.SIGSTOP)
        group.until(lambda: is_quiet(group), "rank that waits for its peer")
        last = group.steps()[-1]["step"]
        told_to_stop = group.pod_of(0)
        told_to_stop.send_signal(signal.SIGTERM)
        assert told_to_stop.wait(PATIENCE) == 143, group.logs()
        saved = [path.name for path in group.layout.checkpoints.glob("step-*")]
        assert saved == [f"step-{last:08d}"], group.logs()
    finally:
        group.close()


def is_quiet(group: Group) -> bool:
    before = len(group.steps())
    time.sleep(QUIET_SECONDS)
    return len(group.steps()) == before
