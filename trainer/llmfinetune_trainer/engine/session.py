"""One training run on one rank: open, load, resume, train, evaluate, export. Wires the engine's parts."""

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from peft import PeftModel

from llmfinetune_trainer.atomic import remove_incomplete
from llmfinetune_trainer.checkpoint.store import CheckpointStore, read_checkpoint
from llmfinetune_trainer.checkpoint.writer import CheckpointWriter
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.messages import Result, RuntimeFacts
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared, open_prepared
from llmfinetune_trainer.engine.backend import (
    CPUINFO,
    Backend,
    Engine,
    choose_backend,
    gradient_computer,
    runtime_facts,
)
from llmfinetune_trainer.engine.batches import token_budget
from llmfinetune_trainer.engine.distributed import Ranks
from llmfinetune_trainer.engine.gradients import GradientComputer
from llmfinetune_trainer.engine.loop import Training, evaluate_now, run_steps
from llmfinetune_trainer.engine.optimizer import FlatAdamW
from llmfinetune_trainer.engine.schedule import num_training_samples
from llmfinetune_trainer.engine.state import TrainingState
from llmfinetune_trainer.engine.stop import StopSignal
from llmfinetune_trainer.errors import RunError, disk_full, is_disk_full
from llmfinetune_trainer.export import export, finished_result
from llmfinetune_trainer.model.load import load_base
from llmfinetune_trainer.model.lora import attach_adapters
from llmfinetune_trainer.report.sink import Sink
from llmfinetune_trainer.report.tracker import Tracker, finite
from llmfinetune_trainer.sources.digest import digest_json

MakeSinks = Callable[[int], list[Sink]]
"""Makes the sinks of the first rank, given the step that training resumes from."""


class Run(NamedTuple):
    """What a run is given from outside."""

    config: RunConfig
    layout: Layout
    attempt: str
    ranks: Ranks
    make_sinks: MakeSinks
    stop: StopSignal


class _Model(NamedTuple):
    peft: PeftModel
    computer: GradientComputer
    facts: RuntimeFacts


def train(run: Run) -> Result:
    """Trains to the end, or from where a checkpoint left off, and exports the adapter.

    Every rank returns only after the first has written the result manifest, because in an elastic job the
    first pod that ends well ends the job.

    Raises:
        RunError: what ended the run. If a step was finished before, its state is saved.
    """
    prepared = open_prepared(run.config, run.layout)
    digest = config_digest(run.config, prepared_key=prepared.key)
    done = run.ranks.from_first(
        lambda: finished_result(run.layout, attempt=run.attempt, config_digest=digest)
    )
    if done is not None:
        _tell_finished(run, prepared, done)
        return done
    return _train(run, prepared, digest=digest)


def config_digest(config: RunConfig, *, prepared_key: str) -> str:
    """Digest of everything that the weights are a function of."""
    relevant = config.model_dump(mode="json", include={"method", "training"})
    return digest_json({"prepared": prepared_key, **relevant})


def _train(run: Run, prepared: Prepared, *, digest: str) -> Result:
    state, model = _start(run, prepared, digest=digest)
    store = CheckpointStore(run.layout.checkpoints, keep=run.config.checkpoint.keep)
    _resume(run, store, state)
    sinks = run.make_sinks(state.step) if run.ranks.rank == 0 else []
    tracker = Tracker(sinks, attempt=run.attempt, phase="Training")
    writer = CheckpointWriter(store, clock=lambda: dt.datetime.now(dt.UTC), on_saved=tracker.checkpointed)
    training = Training(
        config=run.config,
        train=prepared.train,
        validation=prepared.validation,
        ranks=run.ranks,
        computer=model.computer,
        state=state,
        tracker=tracker,
        checkpoints=writer if run.ranks.rank == 0 else None,
        check_stop=run.stop.check,
        token_budget=token_budget(run.config.runtime),
    )
    run.stop.on_overdue = lambda: _leave(training, writer)
    try:
        tracker.prepared(prepared.facts)
        _tell_started(training, model.facts)
        return _to_the_end(run, training, writer, prepared, model, digest=digest)
    except RunError as error:
        if error.failure.retryable:
            _leave(training, writer)
        tracker.failed(error.failure)
        raise
    except OSError as error:
        if not is_disk_full(error):
            raise
        full = disk_full(run.layout.root, "writing a checkpoint or the result")
        tracker.failed(full.failure)
        raise full from error
    finally:
        tracker.close()


def _start(run: Run, prepared: Prepared, *, digest: str) -> tuple[TrainingState, _Model]:
    backend = choose_backend(
        run.config.runtime,
        precision=run.config.training.precision,
        cpuinfo=CPUINFO.read_text(encoding="utf-8") if CPUINFO.exists() else "",
    )
    torch.manual_seed(run.config.training.seed)
    base = load_base(prepared.model_path, dtype=backend.dtype)
    peft_model, adapters = attach_adapters(base, run.config.method.lora, seed=run.config.training.seed)
    computer, engine = gradient_computer(
        backend,
        peft_model,
        adapters,
        lora=run.config.method.lora,
        max_length=run.config.training.max_sequence_length,
    )
    optimizer = FlatAdamW(adapters.master, weight_decay=run.config.training.weight_decay)
    state = TrainingState(adapters, optimizer, config_digest=digest)
    return state, _Model(peft_model, computer, _facts(run, backend, engine))


def _facts(run: Run, backend: Backend, engine: Engine) -> RuntimeFacts:
    return runtime_facts(
        backend, communication=run.ranks.communication, world_size=run.ranks.world_size, engine=engine
    )


def _resume(run: Run, store: CheckpointStore, state: TrainingState) -> None:
    """Takes over the newest whole checkpoint; the first rank chooses it, so that all take the same."""
    if run.ranks.rank == 0 and run.layout.checkpoints.exists():
        remove_incomplete(run.layout.checkpoints)
    path = run.ranks.from_first(store.newest)
    if path is not None:
        state.restore(read_checkpoint(path))


def _tell_started(training: Training, facts: RuntimeFacts) -> None:
    training.tracker.started(
        facts,
        state=training.state,
        total_steps=training.total_steps,
        num_samples=training.train.num_samples,
        num_samples_of_run=num_training_samples(training.config.training, training.train.num_samples),
    )


def _tell_finished(run: Run, prepared: Prepared, result: Result) -> None:
    tracker = Tracker(
        run.make_sinks(result.steps) if run.ranks.rank == 0 else [], attempt=run.attempt, phase="Exporting"
    )
    tracker.prepared(prepared.facts)
    tracker.finished(result)
    tracker.close()


def _to_the_end(
    run: Run, training: Training, writer: CheckpointWriter, prepared: Prepared, model: _Model, *, digest: str
) -> Result:
    state = training.state
    if state.step == 0 and state.eval_loss_before is None:
        evaluate_now(training)
    run_steps(training)
    evaluate_now(training)
    if training.checkpoints is not None:
        writer.save_now(state.checkpoint())
        training.tracker.phase("Exporting")
    result = run.ranks.from_first(lambda: _export(run, training, prepared, model, digest=digest))
    training.tracker.finished(result)
    writer.close()
    return result


def _export(run: Run, training: Training, prepared: Prepared, model: _Model, *, digest: str) -> Result:
    state = training.state
    outcome: dict[str, Any] = {
        "attempt": run.attempt,
        "steps": state.step,
        "loss": state.loss,
        "eval_loss": finite(state.eval_loss),
        "eval_loss_before": finite(state.eval_loss_before),
    }
    return export(
        run.layout,
        config=run.config,
        prepared=prepared,
        adapter=state.adapters.state(),
        peft_config=model.peft.peft_config["default"],
        runtime=model.facts,
        outcome=outcome,
        config_digest=digest,
    )


def _leave(training: Training, writer: CheckpointWriter) -> None:
    """Saves the last finished step. Every rank does: the first may be the one that died."""
    if training.state.step > 0:
        writer.save_now(training.state.checkpoint())
