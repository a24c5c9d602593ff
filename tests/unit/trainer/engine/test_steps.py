"""Planning and computing steps: same samples and same mathematics however they are split."""

from typing import Any

import numpy as np
import pytest
import torch

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.engine.backend import Engine
from llmfinetune_trainer.engine.batches import plan_step
from llmfinetune_trainer.engine.loop import compute_gradient, evaluate_once, run_steps
from llmfinetune_trainer.errors import RunError

from .tiny import SUBJECTS, MemorySamples, Recorder, lengths, make_training, run_config

EXACT = {"without dropout": 0.0, "with dropout": 0.3}


def test_every_sample_is_seen_once_an_epoch_at_any_number_of_ranks() -> None:
    samples, training = MemorySamples(lengths(21)), run_config(epochs=2, batch_size=8).training
    for world_size in (1, 2, 4):
        seen: list[int] = []
        cursor = 0
        while cursor < 42:
            plans = [
                plan_step(samples, training, cursor=cursor, rank=rank, world_size=world_size, budget=64)
                for rank in range(world_size)
            ]
            shares = [index for plan in plans for pack in plan.packs for index in pack]
            assert sorted(shares) == sorted(plans[0].samples.tolist())
            seen += plans[0].samples.tolist()
            cursor += len(plans[0].samples)
        assert sorted(seen[:21]) == sorted(seen[21:]) == list(range(21))


def test_micro_batches_keep_within_the_budget_and_are_of_about_one_size() -> None:
    samples = MemorySamples(lengths(200))
    plan = plan_step(samples, run_config(batch_size=200).training, cursor=0, rank=0, world_size=1, budget=256)
    sizes = [int(samples.lengths[pack].sum()) for pack in plan.packs]
    assert max(sizes) <= 256
    assert min(sizes) >= 0.7 * max(sizes)


def test_without_packing_every_sample_has_a_sequence_of_its_own() -> None:
    config = run_config(packing=False)
    plan = plan_step(MemorySamples(lengths(20)), config.training, cursor=0, rank=0, world_size=1)
    assert [len(pack) for pack in plan.packs] == [1] * 8


@pytest.mark.parametrize(
    "settings",
    [{"token_budget": 1}, {"token_budget": 30}, {"token_budget": 10_000}],
    ids=["eight accumulated batches of one", "a few micro-batches", "one batch of eight"],
)
@pytest.mark.parametrize("dropout", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize(("architecture", "engine"), SUBJECTS)
def test_gradient_does_not_depend_on_accumulation(
    architecture: str, engine: Engine, dropout: float, settings: dict[str, int]
) -> None:
    subject: dict[str, Any] = {"architecture": architecture, "engine": engine, "dropout": dropout}
    reference, gradient = _gradient(token_budget=64, **subject)
    loss, ours = _gradient(**settings, **subject)
    assert loss == pytest.approx(reference, rel=1e-5)
    # what the order of sums in 32 bits leaves undecided
    torch.testing.assert_close(ours, gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


def test_loss_is_the_mean_over_the_supervised_tokens_of_the_whole_batch() -> None:
    training = make_training(run_config(epochs=1, batch_size=20))
    plan = plan_step(training.train, training.config.training, cursor=0, rank=0, world_size=1)
    loss = compute_gradient(training, plan)
    training.validation = training.train  # type: ignore[misc]
    evaluate_once(training)
    assert training.state.eval_loss == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("dropout", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize(("architecture", "engine"), SUBJECTS)
def test_packing_changes_no_loss_of_a_whole_run(architecture: str, engine: Engine, dropout: float) -> None:
    curves = []
    for packing in (True, False):
        recorder, config = Recorder(), run_config(packing=packing)
        run_steps(
            make_training(
                config, recorder=recorder, architecture=architecture, engine=engine, dropout=dropout
            )
        )
        curves.append(recorder.losses)
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


def test_training_learns() -> None:
    recorder = Recorder()
    config = run_config(epochs=60, learning_rate=0.1)
    run_steps(make_training(config, samples=MemorySamples([12] * 8), recorder=recorder))
    assert recorder.losses[-1] < 0.97 * recorder.losses[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["NaN", "infinite"])
def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_step_and_samples(value: float) -> None:
    training = make_training(run_config())
    run_one = training.computer.forward_backward
    calls = []

    def poisoned(*arguments: object, **options: object) -> float:
        calls.append(arguments)
        loss = run_one(*arguments, **options)  # type: ignore[arg-type]
        return value if training.state.step == 2 else loss

    training.computer.forward_backward = poisoned  # type: ignore[method-assign, assignment]
    with pytest.raises(RunError) as caught:
        run_steps(training)
    assert caught.value.exit_code == exit_codes.DIVERGED
    assert caught.value.failure.category == "Diverged"
    assert "step 3" in caught.value.failure.message
    assert training.state.step == 2
    assert training.state.optimizer.num_updates == 2
    assert torch.isfinite(training.state.adapters.master).all()
    plan = plan_step(training.train, training.config.training, cursor=16, rank=0, world_size=1)
    assert ", ".join(map(str, plan.samples)) in caught.value.failure.message


def test_a_loss_that_explodes_stops_before_the_step() -> None:
    training = make_training(run_config())
    run_one = training.computer.forward_backward

    def blown_up(*arguments: object, **options: object) -> float:
        factor = 100.0 if training.state.step == 2 else 1.0
        return factor * run_one(*arguments, **options)  # type: ignore[arg-type]

    training.computer.forward_backward = blown_up  # type: ignore[method-assign, assignment]
    with pytest.raises(RunError) as caught:
        run_steps(training)
    failure = caught.value.failure
    assert (failure.category, failure.reason, failure.retryable) == ("Diverged", "LossExploded", False)
    assert "step 3" in failure.message
    assert training.state.step == 2


def test_dropout_depends_on_the_step_and_not_on_what_ran_before() -> None:
    losses = []
    for noise in (1, 2):
        recorder = Recorder()
        training = make_training(run_config(epochs=1), recorder=recorder, dropout=0.3)
        torch.manual_seed(noise)
        run_steps(training)
        losses.append(recorder.losses)
    assert losses[0] == losses[1]
    plain = Recorder()
    run_steps(make_training(run_config(epochs=1), recorder=plain))
    assert losses[0] != plain.losses


def _gradient(*, token_budget: int, **subject: Any) -> tuple[float, torch.Tensor]:
    training = make_training(run_config(), **subject)
    adapters = training.state.adapters
    adapters.master.add_(
        torch.from_numpy(np.random.Generator(np.random.PCG64(1)).normal(scale=0.2, size=len(adapters.master)))
    )
    adapters.publish()
    plan = plan_step(
        training.train, training.config.training, cursor=0, rank=0, world_size=1, budget=token_budget
    )
    return compute_gradient(training, plan), adapters.gradient.clone()
