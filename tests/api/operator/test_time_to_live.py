"""A finished fine-tune whose time to live is over: its children go, its results stay, then it is quiet."""

import pytest

from tests.api.operator.process import OperatorProcess
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]


@pytest.mark.parametrize(
    ("retain", "left"),
    [
        pytest.param(True, {"persistentvolumeclaims/medical"}, id="the volume is retained"),
        pytest.param(False, set(), id="the volume goes too"),
    ],
)
def test_children_go_and_results_stay(
    operator: OperatorProcess, world: World, retain: bool, left: set[str]
) -> None:
    world.create(runPolicy={"ttlAfterFinished": "2s"}, storage={"retain": retain})
    message = {
        "attempt": "a",
        "failure": {"category": "Data", "reason": "ColumnMissing", "retryable": False, "message": "m"},
    }
    world.finish_pod(world.pod_of_prepare(), exit_code=2, message=message)
    world.until(lambda: world.status().get("phase") == "Failed")
    world.until(lambda: set(world.children()) == left and not world.list("pods"), timeout=60.0)
    assert world.status()["failure"]["reason"] == "ColumnMissing"
    assert set(world.settled()) == {"medical", *left}
