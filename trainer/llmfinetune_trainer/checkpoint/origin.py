"""Starting from another fine-tune: finds what `resumeFrom` names, checks that it fits, and copies it.

Preparation does this once; workers find the copy on their own volume and need no other one.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from llmfinetune_trainer.checkpoint.adapter_files import (
    CONFIG,
    AdapterFiles,
    misfit,
    read_adapter,
    unlike,
)
from llmfinetune_trainer.checkpoint.settings import differences, settings_of
from llmfinetune_trainer.checkpoint.store import (
    STATE,
    Checkpoint,
    CheckpointStore,
    is_whole,
    newest_first,
    read_checkpoint,
)
from llmfinetune_trainer.config.layout import CHECKPOINTS, Layout
from llmfinetune_trainer.config.run import ResumeConfig, RunConfig
from llmfinetune_trainer.config.source import parse_source
from llmfinetune_trainer.data.prepared import Prepared
from llmfinetune_trainer.engine.schedule import num_training_samples
from llmfinetune_trainer.errors import RunError, user_error
from llmfinetune_trainer.report.files import METRICS
from llmfinetune_trainer.sources.context import FetchContext
from llmfinetune_trainer.sources.local import local_path

READS: Final = 3
"""How often the newest checkpoint is looked for: its run may go on, and replace it meanwhile."""


def take_over(
    config: RunConfig, prepared: Prepared, context: FetchContext, *, now: Callable[[], dt.datetime]
) -> None:
    """Copies what `resumeFrom` names to this run's volume, unless it is there already.

    Raises:
        RunError: there is nothing to start from, or it does not fit.
    """
    resume = config.resume_from
    if resume is None or _is_taken_over(resume, context.layout):
        return
    path = local_path(parse_source(_source(resume)), "resumeFrom", context)
    found = _continued(path, config, prepared) if resume.mode == "continue" else _warm(path, config, prepared)
    origin = {"mode": resume.mode, "source": resume.source}
    shutil.rmtree(context.layout.origin, ignore_errors=True)
    copy = found._replace(state={**found.state, "origin": origin})
    CheckpointStore(context.layout.origin, keep=1).save(copy, now=now())
    _copy_log(path, context.layout, mode=resume.mode)
    context.progress(f"starts from {resume.source} ({resume.mode}, step {found.step})")


def read_origin(layout: Layout) -> Checkpoint:
    """What preparation took over.

    Raises:
        RunError: it is not there, or damaged.
    """
    path = CheckpointStore(layout.origin, keep=1).newest()
    if path is None:
        raise user_error(
            "ResumeFromMissing",
            f"nothing was taken over to {layout.origin}",
            hint="run `llmfinetune prepare` with the same manifest and workspace",
        )
    return read_checkpoint(path)


def _source(resume: ResumeConfig) -> str:
    if resume.source is None:
        raise user_error(
            "ResumeFromNeedsCluster",
            f"spec.resumeFrom.fineTune = {resume.fine_tune!r} can be found only in a cluster",
            hint="name its workspace here: spec.resumeFrom.source: path/to/workspace",
        )
    return resume.source


def _is_taken_over(resume: ResumeConfig, layout: Layout) -> bool:
    path = CheckpointStore(layout.origin, keep=1).newest()
    if path is None:
        return False
    known = read_checkpoint(path).state.get("origin")
    return bool(known == {"mode": resume.mode, "source": resume.source})


def _continued(path: Path, config: RunConfig, prepared: Prepared) -> Checkpoint:
    newest = _newest_checkpoint(path)
    if newest is None:
        raise _nothing(path, "no whole checkpoint")
    if problems := differences(newest.state.get("settings") or {}, settings_of(config, prepared)):
        raise misfit("checkpoint", problems)
    total = num_training_samples(config.training, prepared.train.num_samples)
    if newest.state["cursor"] >= total:
        raise user_error(
            "NothingLeftToTrain",
            f"the checkpoint of step {newest.step} has all {total} samples of this run behind it",
            hint="raise training.epochs or training.maxSteps, or choose resumeFrom.mode: warmStart",
        )
    return _before_a_smaller_batch(path, newest, batch_size=config.training.batch_size)


def _before_a_smaller_batch(path: Path, newest: Checkpoint, *, batch_size: int) -> Checkpoint:
    """The newest checkpoint that a longer run passes through too: it would have filled the batch that an
    epoch's end cut short."""

    def is_passed(checkpoint: Checkpoint) -> bool:
        return bool(checkpoint.state["cursor"] == checkpoint.step * batch_size)

    found = newest if is_passed(newest) else _newest_checkpoint(path, among=is_passed)
    if found is None:
        raise user_error(
            "ResumeFromMismatch",
            f"the last batch before the checkpoint of step {newest.step} had fewer samples than "
            f"training.batchSize = {batch_size}, and no earlier checkpoint is there: a longer run would have "
            "filled that batch",
            hint="choose resumeFrom.mode: warmStart; checkpoint.keep: 2 or more leaves an earlier one",
        )
    return found


def _warm(path: Path, config: RunConfig, prepared: Prepared) -> Checkpoint:
    adapter = _adapter(path)
    if problems := unlike(adapter, config, prepared):
        raise misfit("adapter", problems)
    return Checkpoint(step=0, tensors={"adapter": adapter.weights}, state={})


def _adapter(path: Path) -> AdapterFiles:
    """An adapter's directory, a finished fine-tune's adapter, or the newest checkpoint's."""
    of_run = Layout(path)
    if (path / CONFIG).exists():
        return read_adapter(path)
    if of_run.result.exists():
        return read_adapter(of_run.adapter)
    checkpoint = _newest_checkpoint(path)
    if checkpoint is None:
        raise _nothing(path, "neither an adapter nor a whole checkpoint")
    settings: dict[str, Any] = checkpoint.state["settings"]
    return AdapterFiles(
        base=str(settings["the base model"]).rpartition("@")[0],
        scale=settings["method.lora.alpha"] / settings["method.lora.rank"],
        weights=checkpoint.tensors["adapter"],
    )


def _newest_checkpoint(
    path: Path, *, among: Callable[[Checkpoint], bool] = lambda _checkpoint: True
) -> Checkpoint | None:
    """The checkpoint at a path, or the newest whole one of the run whose volume or checkpoints lie there."""
    for _ in range(READS):
        try:
            return next((checkpoint for checkpoint in _whole_ones(path) if among(checkpoint)), None)
        except FileNotFoundError:
            continue
    return None


def _whole_ones(path: Path) -> Iterator[Checkpoint]:
    of_run = newest_first(path / CHECKPOINTS) or newest_first(path)
    candidates = [path] if (path / STATE).exists() else of_run
    return (read_checkpoint(candidate) for candidate in candidates if is_whole(candidate))


def _copy_log(path: Path, layout: Layout, *, mode: str) -> None:
    """Takes the curve so far along, where a run goes on under another name."""
    theirs, ours = Layout(path).logs / METRICS, layout.logs / METRICS
    if mode == "continue" and theirs.exists() and not ours.exists():
        ours.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(theirs, ours)


def _nothing(path: Path, what: str) -> RunError:
    entries = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    there = ", ".join(entries[:10]) or "nothing"
    return user_error(
        "ResumeFromMissing",
        f"{path} holds {what}; there is {there}",
        hint="correct spec.resumeFrom, or wait until the other fine-tune has saved a checkpoint",
    )
