"""Operators that come, go, race and meet an API server that changes under them."""

from pathlib import Path

import pytest

from devcluster.apiserver import ApiServer
from tests.api.operator.conftest import NewWorld, StartOperator
from tests.api.operator.process import OperatorProcess, eventually
from tests.api.operator.test_children import AT_FIRST, first_children
from tests.api.operator.world import World

pytestmark = [pytest.mark.api, pytest.mark.timeout(180)]


def test_two_operators_that_race_come_to_rest(
    training_api: None, start_operator: StartOperator, world: World
) -> None:
    operators = [start_operator(name=name) for name in ("first", "second")]
    for number in range(5):
        world.create(f"medical-{number}")
    world.until(lambda: len(world.children()) == 5 * len(AT_FIRST))
    before = world.settled(quiet=4.0)
    writes = [each.num_writes() for each in operators]
    assert world.settled(quiet=6.0) == before
    assert [each.num_writes() for each in operators] == writes
    trusted = world.get("configmaps", "medical-0-run")
    assert trusted is not None
    assert trusted["data"]["ca.crt"].count("BEGIN CERTIFICATE") == 2


def test_an_api_server_that_restarts_is_waited_for(
    api_server: ApiServer, training_api: None, operator_kubeconfig: Path, world: World, tmp_path: Path
) -> None:
    # Just started, the API server forbids for a moment what it will allow: such answers are in this log.
    with OperatorProcess(operator_kubeconfig, tmp_path / "log") as operator:
        first_children(world)
        world.settled(quiet=1.0)
        api_server.restart()
        world.delete("configmaps", "medical-run")
        eventually(lambda: world.get("configmaps", "medical-run"), timeout=45)
        assert operator.get("/healthz")[0] == 200


def test_what_happened_while_the_operator_was_away_is_put_right_when_it_is_back(
    training_api: None, start_operator: StartOperator, world: World
) -> None:
    operator = start_operator()
    first_children(world)
    operator.kill()
    world.delete("configmaps", "medical-run")
    world.create("legal")
    operator.start()
    world.until(lambda: world.get("configmaps", "medical-run") and world.get("jobs", "legal-prepare"))


def test_a_namespaced_operator_leaves_other_namespaces_alone(
    training_api: None, api_server: ApiServer, world: World, new_world: NewWorld, tmp_path: Path
) -> None:
    elsewhere = new_world()
    with OperatorProcess(api_server.kubeconfig, tmp_path / "log", "--namespace", world.namespace):
        elsewhere.create()
        first_children(world)
        assert elsewhere.children() == {}


@pytest.mark.parametrize("option", ["--help", "--progress-port=70000", "--workers=0"])
def test_the_command_line_teaches(option: str, operator_kubeconfig: Path, tmp_path: Path) -> None:
    process = OperatorProcess(operator_kubeconfig, tmp_path / "log", option)
    with pytest.raises(AssertionError):
        process.start()
    assert "usage: llmfinetune-operator" in (tmp_path / "log").read_text()


def test_a_missing_setting_is_named(operator_kubeconfig: Path, tmp_path: Path) -> None:
    unset = {"LLMFINETUNE_TRAINER_IMAGE": ""}
    process = OperatorProcess(operator_kubeconfig, tmp_path / "log", env=unset)
    with pytest.raises(AssertionError):
        process.start()
    assert "LLMFINETUNE_TRAINER_IMAGE" in (tmp_path / "log").read_text()
