"""Preparation: model and data are fetched, checked and tokenised once, so that workers only compute.

What is cheap to check comes first: data can be read and has its columns, the model's structure has the target
modules; then the weights travel. Everything is written beside and renamed, so that a killed preparation is
simply run again.
"""

import datetime as dt
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from llmfinetune_trainer.atomic import (
    TEMPORARY_PREFIX,
    atomic_directory,
    exclusive,
    remove_incomplete,
    write_atomically,
)
from llmfinetune_trainer.checkpoint.origin import take_over
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.build import build, check_examples, open_examples
from llmfinetune_trainer.data.prepared import (
    FORMAT_VERSION,
    MANIFEST,
    Prepared,
    file_entries,
    open_key,
    open_prepared,
    request_path,
)
from llmfinetune_trainer.data.templates import resolve_template
from llmfinetune_trainer.data.tokenizer import load_tokenizer
from llmfinetune_trainer.engine.fused import supports
from llmfinetune_trainer.engine.proof import prove
from llmfinetune_trainer.errors import RunError, disk_full, is_disk_full, user_error
from llmfinetune_trainer.model.materialise import materialise, model_directory, skeleton_directory
from llmfinetune_trainer.model.targets import layer_kinds, linear_layers, model_skeleton, resolve_targets
from llmfinetune_trainer.sources.context import FetchContext, sources_root
from llmfinetune_trainer.sources.datafiles import DataFiles, fetch_data
from llmfinetune_trainer.sources.digest import digest_files, digest_json
from llmfinetune_trainer.sources.hub import remove_unfinished
from llmfinetune_trainer.sources.identity import identities
from llmfinetune_trainer.sources.models import ModelFiles, fetch_model

_TOKENIZER_FILES = (
    "tokenizer",
    "special_tokens",
    "added_tokens",
    "vocab",
    "merges",
    "chat_template",
    "tekken",
)


class LocalModel(NamedTuple):
    """A model on the run's volume."""

    path: Path
    files: ModelFiles
    vocabulary: int
    """Rows of its embedding."""


def prepare(
    config: RunConfig,
    layout: Layout,
    *,
    token: str | None,
    offline: bool = False,
    progress: Callable[[str], None],
) -> Prepared:
    """Makes everything that training starts from, or opens it if it is there for unchanged sources.

    Args:
        config: the run configuration.
        layout: directories of the run.
        token: Hugging Face token, where one is given.
        offline: whether to use only what was fetched before.
        progress: takes lines for the log.

    Raises:
        RunError: naming what is wrong with model, data or settings, and what to do.
    """
    context = FetchContext(
        layout, progress, sources_root(), token, offline=offline, endpoint=os.environ.get("HF_ENDPOINT")
    )
    try:
        prepared = _opened(config, context)
        if prepared is None:
            with exclusive(layout.prepared / ".lock"):  # a replaced pod may still be ending
                prepared = _opened(config, context) or _made(config, context)
        take_over(config, prepared, context, now=lambda: dt.datetime.now(dt.UTC))
        return prepared
    except RunError:
        raise
    except Exception as error:  # libraries reword "no space left"; whatever else it is goes on unchanged
        if is_disk_full(error):
            raise disk_full(layout.root, "preparing model and data") from error
        raise


def _opened(config: RunConfig, context: FetchContext) -> Prepared | None:
    """What was made before for this configuration, if its sources still are what they were."""
    try:
        request = json.loads(request_path(config, context.layout).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    now = identities(config, context)
    if any(now[name] is not None and now[name] != request["sources"].get(name) for name in now):
        context.progress("model or data changed since they were prepared")
        return None
    try:
        prepared = open_prepared(config, context.layout)
    except RunError as error:
        context.progress(f"preparing again: {error.failure.message}")
        return None
    context.progress(f"prepared before as {prepared.key}")
    return prepared


def _made(config: RunConfig, context: FetchContext) -> Prepared:
    layout = context.layout
    for directory in (layout.prepared, layout.cache / "models"):
        directory.mkdir(parents=True, exist_ok=True)
        remove_incomplete(directory)
    remove_unfinished(layout)
    sources = identities(config, context)  # before reading, so that a change while reading is seen next time
    data = fetch_data(config.dataset, context)
    examples = open_examples(data.paths, config.dataset)
    num_rows = check_examples(examples, train_on_inputs=config.dataset.train_on_inputs)
    context.progress(f"read {num_rows} rows of format {examples.format_name}")
    rendering = _rendering(config, examples.format_name)
    model = _local_model(config, context)
    key = _key(config, data, model, rendering)
    target = layout.prepared / key
    if not _is_intact(key, layout):
        _build(config, context, data=data, model=model, rendering=rendering, target=target)
    request = {"key": key, "sources": sources}
    write_atomically(request_path(config, layout), json.dumps(request, indent=2))
    return open_prepared(config, layout)


class Outline(NamedTuple):
    """What is known of a model before its weights are there."""

    files: ModelFiles
    skeleton: Any
    """The model without weights (on torch's meta device)."""


def outline(config: RunConfig, context: FetchContext) -> Outline:
    """Fetches what is small of a model, and checks the settings against its structure.

    Raises:
        RunError: it is no model that is supported, or a setting does not fit it.
    """
    small = fetch_model(config.model, context, with_weights=False)
    ready = model_directory(small, context.layout, in_fp32=config.training.precision == "fp32")
    skeleton = _skeleton(small, ready)
    layers = resolve_targets(
        linear_layers(skeleton), config.method.lora.target_modules, others=layer_kinds(skeleton)
    )
    context.progress(f"adapters go to {len(layers)} linear layers")
    _check_length(config, skeleton.config)
    _try_general_path(config, skeleton, context.progress)
    return Outline(small, skeleton)


def _local_model(config: RunConfig, context: FetchContext) -> LocalModel:
    small, skeleton = outline(config, context)
    files = fetch_model(config.model, context) if small.path.is_dir() else small
    in_fp32 = config.training.precision == "fp32"
    path = materialise(files, context.layout, in_fp32=in_fp32, progress=context.progress)
    return LocalModel(path, files, skeleton.get_input_embeddings().num_embeddings)


def _skeleton(files: ModelFiles, ready: Path) -> Any:
    """The model's structure, from the directory that is ready where an earlier preparation made it."""
    if ready.is_dir():
        return model_skeleton(ready)
    with TemporaryDirectory(dir=ready.parent, prefix=TEMPORARY_PREFIX) as scratch:
        return model_skeleton(skeleton_directory(files, Path(scratch)))


def _try_general_path(config: RunConfig, skeleton: Any, progress: Callable[[str], None]) -> None:
    """Tries a few layers of what the fused engine does not compute, before workers wait for it."""
    length = config.training.max_sequence_length
    if supports(skeleton.config, config.method.lora, max_length=length) is None:
        return
    if why := prove(skeleton).why:
        progress(f"computing {why}")


def _check_length(config: RunConfig, model_config: Any) -> None:
    longest = getattr(model_config, "max_position_embeddings", None)
    wanted = config.training.max_sequence_length
    if longest is not None and wanted > longest:
        raise user_error(
            "SequenceTooLong",
            f"spec.training.maxSequenceLength = {wanted}, but the model has positions for {longest} tokens",
            hint=f"set spec.training.maxSequenceLength to {longest} or less",
        )


def _rendering(config: RunConfig, format_name: str) -> Mapping[str, str]:
    """How rows become text, with what `auto` came to: two runs that say it in other words are one."""
    template = resolve_template(config.dataset.template, format_name, has_chat_template=True)
    return {"format": format_name, "template": template}


def _key(config: RunConfig, data: DataFiles, model: LocalModel, rendering: Mapping[str, str]) -> str:
    tokenizer = {
        entry.name: entry for entry in model.path.iterdir() if entry.name.startswith(_TOKENIZER_FILES)
    }
    return digest_json(
        {
            "version": FORMAT_VERSION,
            "data": data.digest,
            "tokenizer": digest_files(tokenizer),
            "model": [model.files.name, model.path.name],
            "dataset": {**config.dataset.model_dump(exclude={"source", "revision"}), **rendering},
            "length": config.training.max_sequence_length,
            "seed": config.training.seed,
        }
    )


def _is_intact(key: str, layout: Layout) -> bool:
    try:
        open_key(key, layout)
    except RunError:
        return False
    return True


def _build(
    config: RunConfig,
    context: FetchContext,
    *,
    data: DataFiles,
    model: LocalModel,
    rendering: Mapping[str, str],
    target: Path,
) -> None:
    with atomic_directory(target) as directory:
        facts = build(
            open_examples(data.paths, config.dataset),
            config=config,
            tokenizer=load_tokenizer(model.path),
            vocabulary=model.vocabulary,
            directory=directory,
            key=target.name,
            progress=context.progress,
        )
        manifest = {
            "version": FORMAT_VERSION,
            "facts": facts.model_dump(by_alias=True),
            **rendering,
            "files": file_entries(directory),
            "model": {
                "path": str(model.path.relative_to(context.layout.root)),
                "name": model.files.name,
                "revision": model.files.revision,
                "files": {entry.name: entry.stat().st_size for entry in sorted(model.path.iterdir())},
            },
        }
        (directory / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
