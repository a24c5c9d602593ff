"""One training run on one rank: open, load, resume, train, evaluate, export. Wires the engine's parts."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from llmfinetune_trainer.atomic import remove_incomplete
from llmfinetune_trainer.checkpoint.origin import read_origin
from llmfinetune_trainer.checkpoint.settings import settings_of
from llmfinetune_trainer.checkpoint.store import CheckpointStore, facts_of, read_checkpoint
from llmfinetune_trainer.checkpoint.writer import CheckpointWriter
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.messages import CheckpointFacts, Result, RuntimeFacts
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared, open_prepared
from llmfinetune_trainer.engine.distributed import Ranks
from llmfinetune_trainer.engine.loop import Training, evaluate_once, run_steps
from llmfinetune_trainer.engine.machine import this_machine
from llmfinetune_trainer.engine.opening import OpenModel, open_model
from llmfinetune_trainer.engine.optimizer import FlatAdamW
from llmfinetune_trainer.engine.schedule import num_training_samples
from llmfinetune_trainer.engine.state import TrainingState
from llmfinetune_trainer.engine.stop import StopSignal
from llmfinetune_trainer.errors import RunError, disk_full, is_disk_full, run_error
from llmfinetune_trainer.export import export, finished_result
from llmfinetune_trainer.merge import check_merge
from llmfinetune_trainer.report.sink import History, Sink
from llmfinetune_trainer.report.tracker import Tracker, finite
from llmfinetune_trainer.sources.digest import digest_json

MakeSinks = Callable[[History], list[Sink]]
"""Makes the sinks of the first rank, given what training goes on from."""


class Run(NamedTuple):
    """What a run is given from outside."""

    config: RunConfig
    layout: Layout
    attempt: str
    ranks: Ranks
    make_sinks: MakeSinks
    stop: StopSignal
    restarts: int = 0
    """How often training was started again inside this pod."""


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
        lambda: finished_result(
            run.layout,
            attempt=run.attempt,
            config_digest=digest,
            wants_merged=run.config.output.merge,
        )
    )
    if done is not None:
        _tell_finished(run, prepared, done)
        return done
    return _train(run, prepared, digest=digest)


def config_digest(config: RunConfig, *, prepared_key: str) -> str:
    """Digest of everything that the weights are a function of."""
    relevant = config.model_dump(mode="json", include={"method", "training"})
    relevant["quantization"] = config.model.quantization
    origin = config.resume_from
    began = {} if origin is None else {"resumeFrom": origin.model_dump(mode="json")}
    return digest_json({"prepared": prepared_key, **relevant, **began})


def _train(run: Run, prepared: Prepared, *, digest: str) -> Result:
    state, model = _start(run, prepared, digest=digest)
    store = CheckpointStore(run.layout.checkpoints, keep=run.config.checkpoint.keep)
    resumed = _resume(run, store, state)
    sinks = run.make_sinks(state.behind) if run.ranks.rank == 0 else []
    tracker = Tracker(sinks, attempt=run.attempt, phase="Training", restarts=run.restarts)
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
        token_budget=model.token_budget,
    )
    run.stop.on_overdue = lambda: _leave(training, writer)
    try:
        tracker.prepared(prepared.facts)
        _tell_started(training, model.facts, resumed)
        with _keeping_the_state(training, writer):
            return _to_the_end(run, training, writer, prepared, model, digest=digest)
    except RunError as error:
        tracker.failed(error.failure)
        raise
    except OSError as error:
        found = _volume_failure(run.layout, error)
        tracker.failed(found.failure)
        raise found from error
    finally:
        tracker.close()


@contextmanager
def _keeping_the_state(training: Training, writer: CheckpointWriter) -> Iterator[None]:
    """Saves the last finished step when the run is told to stop, loses its peers, or diverges after it."""
    try:
        yield
    except RunError as error:
        if error.failure.retryable or error.failure.category == "Diverged":
            _leave(training, writer)
        raise


def _volume_failure(layout: Layout, error: OSError) -> RunError:
    """A checkpoint, the result or a log could not be written. What was saved before is still there."""
    if is_disk_full(error):
        return disk_full(layout.root, "writing a checkpoint or the result")
    return run_error(
        "Volume",
        "NotWritten",
        f"cannot write to the volume that holds {layout.root}: {error}",
        hint="look at the volume and its node; the newest checkpoint is still there",
        retryable=True,
        exit_code=exit_codes.RETRYABLE,
    )


def _start(run: Run, prepared: Prepared, *, digest: str) -> tuple[TrainingState, OpenModel]:
    if run.ranks.rank == 0:  # before the ranks meet there, so that each finds the room that this makes
        remove_incomplete(run.layout.output)
    model = open_model(run.config, prepared, layout=run.layout, ranks=run.ranks, machine=this_machine())
    if run.config.output.merge:
        check_merge(prepared.model_path, run.layout.merged, adapter=model.adapters.state())
    optimizer = FlatAdamW(model.adapters.master, weight_decay=run.config.training.weight_decay)
    settings = settings_of(run.config, prepared)
    state = TrainingState(model.adapters, optimizer, config_digest=digest, settings=settings)
    return state, model


def _resume(run: Run, store: CheckpointStore, state: TrainingState) -> CheckpointFacts | None:
    """Takes over the newest whole checkpoint and returns which; the first rank chooses it for all."""
    if run.ranks.rank == 0 and run.layout.checkpoints.exists():
        remove_incomplete(run.layout.checkpoints)
    path = run.ranks.from_first(store.newest)
    if path is not None:
        state.restore(read_checkpoint(path))
        return facts_of(path)
    if run.config.resume_from is not None:
        state.begin_from(read_origin(run.layout))
    return None


def _tell_started(training: Training, facts: RuntimeFacts, resumed: CheckpointFacts | None) -> None:
    training.tracker.started(
        facts,
        state=training.state,
        checkpoint=resumed,
        total_steps=training.total_steps,
        num_samples=training.train.num_samples,
        num_samples_of_run=num_training_samples(training.config.training, training.train.num_samples),
    )


def _tell_finished(run: Run, prepared: Prepared, result: Result) -> None:
    tracker = Tracker(
        run.make_sinks(History(step=result.steps)) if run.ranks.rank == 0 else [],
        attempt=run.attempt,
        phase="Exporting",
    )
    tracker.prepared(prepared.facts)
    tracker.finished(result)
    tracker.close()


def _to_the_end(
    run: Run,
    training: Training,
    writer: CheckpointWriter,
    prepared: Prepared,
    model: OpenModel,
    *,
    digest: str,
) -> Result:
    state = training.state
    if state.step == 0:
        evaluate_once(training)
    run_steps(training)
    evaluate_once(training)
    if training.checkpoints is not None:
        writer.save_now(state.checkpoint())
        training.tracker.phase("Exporting")
    result = run.ranks.from_first(lambda: _export(run, training, prepared, model, digest=digest))
    training.tracker.finished(result)
    writer.close()
    return result


def _export(run: Run, training: Training, prepared: Prepared, model: OpenModel, *, digest: str) -> Result:
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
        on_progress=training.tracker.phase_progress,
    )


def _leave(training: Training, writer: CheckpointWriter) -> None:
    """Saves the last finished step. Every rank does: the first may be the one that died."""
    if training.state.step > 0:
        writer.save_now(training.state.checkpoint())
