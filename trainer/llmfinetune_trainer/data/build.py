"""From data files to prepared files: rows → examples → text → samples, in batches."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from llmfinetune_trainer.config.messages import DatasetFacts
from llmfinetune_trainer.config.run import DatasetConfig, RunConfig
from llmfinetune_trainer.data.encode import NO_ANSWER, Encoded, encode
from llmfinetune_trainer.data.formats import Example, detect_format, has_answer, to_example
from llmfinetune_trainer.data.readers import Row, read_rows
from llmfinetune_trainer.data.templates import PrefixError, RenderChat, Rendered, render, resolve_template
from llmfinetune_trainer.data.tokenizer import chat_renderer
from llmfinetune_trainer.data.writer import SampleWriter
from llmfinetune_trainer.errors import RunError, data_error

BATCH_ROWS: Final = 1000
BATCH_CHARACTERS: Final = 1 << 20
"""Text of a batch, about: its tokens with their places take many times the memory."""
NAMED_SKIPS: Final = 10
"""How many of the rows that were left out the log names."""


class Examples(NamedTuple):
    """The rows of a data set as examples, with the format that they have."""

    format_name: str
    items: Iterator[tuple[str, Example]]
    """Pairs of (place, example)."""


def open_examples(files: Iterable[Path], dataset: DatasetConfig) -> Examples:
    """Opens data files, decides the format by the first row, and converts rows as they are asked for.

    Raises:
        RunError: there are no rows, or they do not fit the format.
    """
    rows = read_rows(files)
    first = next(rows, None)
    if first is None:
        raise data_error(
            "DataEmpty", "the data set has no rows", hint="name data with rows in spec.dataset.source"
        )
    name = dataset.format if dataset.format != "auto" else detect_format(first.values, dataset.columns)
    converted = ((row.place, to_example(name, row, dataset.columns)) for row in chain[Row]([first], rows))
    return Examples(name, converted)


def check_examples(examples: Examples, *, train_on_inputs: bool) -> int:
    """Reads every row before anything costly is fetched or computed; returns how many there are.

    Raises:
        RunError: a row does not fit the format, or no row has anything to learn.
    """
    num_rows, without_answer = 0, list[str]()
    for place, example in examples.items:
        num_rows += 1
        if not (train_on_inputs or has_answer(example)):
            without_answer.append(f"{place}: {NO_ANSWER}")
    if len(without_answer) == num_rows:
        raise _nothing_to_learn(without_answer)
    return num_rows


def build(
    examples: Examples,
    *,
    config: RunConfig,
    tokenizer: Any,
    vocabulary: int,
    directory: Path,
    key: str,
    progress: Callable[[str], None],
) -> DatasetFacts:
    """Writes the prepared files of all examples into `directory`.

    Raises:
        RunError: a row is unfit, or no row has anything to learn.
    """
    truncated = 0
    skipped: list[str] = []
    with SampleWriter(directory) as writer:
        for place, encoded in encoded_rows(examples, config=config, tokenizer=tokenizer, progress=progress):
            if not encoded.samples:
                skipped.append(f"{place}: {encoded.why_skipped}")
                continue
            _check_vocabulary(encoded, vocabulary)
            truncated += encoded.is_truncated
            writer.add_row(encoded.samples)
        _report_skipped(skipped, writer.num_rows, progress)
        splits = writer.finish(fraction=config.dataset.validation_split, seed=config.training.seed)
    return DatasetFacts(
        rows=splits["train"].rows,
        validation_rows=splits["validation"].rows,
        tokens=splits["train"].tokens,
        supervised_tokens=splits["train"].supervised,
        truncated=truncated,
        skipped=len(skipped),
        digest=f"sha256:{key}",
    )


def encoded_rows(
    examples: Examples, *, config: RunConfig, tokenizer: Any, progress: Callable[[str], None]
) -> Iterator[tuple[str, Encoded]]:
    """Rendered and tokenised rows, each with its place."""
    template = resolve_template(
        config.dataset.template, examples.format_name, has_chat_template=bool(tokenizer.chat_template)
    )
    progress(f"rendering with template {template}")
    chat, done = chat_renderer(tokenizer), 0
    rendered = (
        (place, _rendered(place, example, template, chat, config.dataset))
        for place, example in examples.items
    )
    for batch in _batches(rendered):
        encoded = encode(
            [text for _, text in batch],
            tokenizer,
            max_length=config.training.max_sequence_length,
            cut_into_several=examples.format_name == "pretraining",
        )
        yield from zip((place for place, _ in batch), encoded, strict=True)
        done += len(batch)
        progress(f"tokenised {done} rows")


def _batches(items: Iterable[tuple[str, Rendered]]) -> Iterator[list[tuple[str, Rendered]]]:
    """Rows to tokenise together: many short ones, few long ones."""
    batch, size = list[tuple[str, Rendered]](), 0
    for item in items:
        batch.append(item)
        size += len(item[1].text)
        if len(batch) == BATCH_ROWS or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _rendered(
    place: str, example: Example, template: str, chat: RenderChat, dataset: DatasetConfig
) -> Rendered:
    try:
        return render(example, template=template, chat=chat, train_on_inputs=dataset.train_on_inputs)
    except RunError as error:
        raise data_error(
            error.failure.reason, f"{place}: {error.failure.message}", hint=error.failure.hint
        ) from None
    except PrefixError as error:
        raise data_error(
            "MaskInexact",
            f"{place}, {error}: the tokenizer's chat template renders earlier turns differently once the "
            "conversation goes on, so what to learn cannot be told exactly",
            hint="split the conversation so that the assistant speaks last, once a row, "
            "or choose a model whose template keeps earlier turns",
        ) from None


def _check_vocabulary(encoded: Encoded, vocabulary: int) -> None:
    largest = max(int(sample.ids.max()) for sample in encoded.samples)
    if largest >= vocabulary:
        raise data_error(
            "VocabularyMismatch",
            f"the tokenizer yields token {largest}, but the model has embeddings for {vocabulary} only",
            hint="use the tokenizer that belongs to the model",
        )


def _report_skipped(skipped: list[str], num_kept: int, progress: Callable[[str], None]) -> None:
    if not num_kept:
        raise _nothing_to_learn(skipped)
    for line in skipped[:NAMED_SKIPS]:
        progress(f"left out {line}")
    if len(skipped) > NAMED_SKIPS:
        progress(f"left out {len(skipped) - NAMED_SKIPS} more rows")


def _nothing_to_learn(skipped: list[str]) -> RunError:
    return data_error(
        "AllLabelsMasked",
        f"none of the {len(skipped)} rows has a token to learn; the first: {skipped[0]}",
        hint="check that the answers' column is not empty, and raise spec.training.maxSequenceLength "
        "if prompts fill it",
    )
