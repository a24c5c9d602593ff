"""The status is written at once where something happened, now and then for figures, never for nothing."""

from datetime import timedelta

from llmfinetune_operator.status.rate import CONDITIONS_SECONDS
from tests.unit.operator.decide.world import JOB, PREPARE, World


def test_nothing_is_written_while_nothing_changes_however_much_time_passes() -> None:
    world = World().training()
    world.told(step=3, total_steps=10, loss=1.9, phase="Preparing")
    world.wait(10)
    world.settle()
    for _ in range(5):
        world.wait(3600)
        assert world.reconcile() == 0


def test_figures_wait_for_the_interval_and_are_not_lost() -> None:
    world = World().training()
    world.wait(60)
    world.told(step=1, total_steps=10, loss=2.0)
    assert world.reconcile() == 1
    world.wait(1)
    world.told(step=2, total_steps=10, loss=1.9)
    decision = world.decide()
    assert decision.wake_at == world.now + timedelta(seconds=world.settings.status_interval_seconds - 1)
    assert world.reconcile() == 0
    world.wait(world.settings.status_interval_seconds - 1)
    assert world.reconcile() == 1
    assert world.status["progress"]["step"] == 2
    due = world.now - timedelta(seconds=4) + timedelta(seconds=world.settings.stall_seconds)
    assert world.decide().wake_at == due, "nothing is due but to see whether the next step comes"


def test_conditions_wait_a_moment_for_the_phase_that_follows() -> None:
    world = World()
    world.settle()
    world.bind()
    assert world.reconcile() == 0
    world.pod("medical-prepare-x", PREPARE)
    assert world.reconcile() == 1
    assert (world.phase, world.condition("StorageReady")[0]) == ("Preparing", "True")


def test_conditions_do_not_wait_long_for_a_phase() -> None:
    world = World()
    world.settle()
    world.bind()
    assert world.decide().wake_at == world.now + timedelta(seconds=CONDITIONS_SECONDS)
    world.wait(CONDITIONS_SECONDS)
    assert world.reconcile() == 1
    assert world.condition("StorageReady")[0] == "True"


def test_a_change_of_phase_takes_new_figures_along_at_once() -> None:
    world = World().training()
    world.wait(60)
    world.told(step=1, total_steps=10, loss=2.0)
    world.reconcile()
    world.told(step=2, total_steps=10, loss=1.9, phase="Evaluating")
    assert world.reconcile() == 1
    assert (world.phase, world.status["progress"]["step"]) == ("Evaluating", 2)


def test_what_a_report_leaves_out_stays_known() -> None:
    world = World().training()
    world.told(step=1, total_steps=10, loss=2.0, eval_loss_before=2.5, learning_rate=1e-4)
    world.wait(10)
    world.settle()
    world.told(step=2, total_steps=10, loss=1.83456)
    world.wait(10)
    world.settle()
    assert world.status["metrics"] == {"loss": "1.835", "evalLossBefore": "2.5", "learningRate": "0.0001"}


def test_a_report_of_an_earlier_fine_tune_of_this_name_tells_nothing() -> None:
    world = World().training()
    world.told(attempt="other-1", step=9, total_steps=10)
    world.wait(10)
    assert world.reconcile() == 0


def test_transition_times_move_only_when_a_condition_flips() -> None:
    world = World().training()
    before = {c["type"]: c for c in world.status["conditions"]}
    world.wait(100)
    world.told(step=10, total_steps=10, result=world.result())
    world.finish_job(JOB, "Succeeded")
    world.settle()
    moved = {
        c["type"]
        for c in world.status["conditions"]
        if c["lastTransitionTime"] != before[c["type"]]["lastTransitionTime"]
    }
    assert moved == {"Ready", "Reconciling", "Training", "Succeeded"}
