"""What preparation estimated: shown as soon as it is told, kept from then on, and the end where memory is too
small."""

from llmfinetune_trainer.config.messages import EstimateFacts, TerminationMessage
from tests.unit.operator.decide.world import JOB, PREPARE, World, failure_message

FACTS = EstimateFacts(
    memory="1.60Gi",
    memory_limit="4.00Gi",
    micro_batch_tokens=2048,
    workers=1,
    recommended_workers=5,
    seconds_per_step="14.20",
    total_seconds=3960,
)
SHOWN = FACTS.model_dump(by_alias=True)


def preparing() -> World:
    world = World()
    world.settle()
    world.bind()
    world.pod("medical-prepare-x", PREPARE)
    world.settle()
    return world


def test_an_estimate_that_the_pod_left_is_shown_and_kept() -> None:
    world = preparing()
    message = TerminationMessage(attempt="a", estimate=FACTS).model_dump_json(by_alias=True)
    world.end("medical-prepare-x", 0, message)
    world.finish_job(PREPARE, "Complete")
    world.settle()
    assert world.status["estimate"] == SHOWN
    world.pods.clear()
    world.settle()
    assert world.status["estimate"] == SHOWN


def test_too_little_memory_ends_it_before_any_worker_starts() -> None:
    world = preparing()
    world.end("medical-prepare-x", 2, failure_message("UserError", "InsufficientMemory"))
    world.finish_job(PREPARE, "Failed")
    world.settle()
    assert world.phase == "Failed"
    assert world.status["failure"]["reason"] == "InsufficientMemory"
    assert JOB not in world.children
