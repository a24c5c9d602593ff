"""Text becomes samples: token ids, and which of them are targets.

The whole text is tokenised at once and targets are found by the tokens' character offsets, so ids are those
that the model always sees for this text, and the boundary holds when the prompt's own tokens are no prefix of
them. A token that reaches from prompt into answer is a target: it carries the answer's first characters.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmfinetune_trainer.data.templates import Rendered

NO_ANSWER: Final = "holds no answer to learn"


class Sample(NamedTuple):
    """One training sample: ids [length] and targets [length]; the first token is never a target."""

    ids: NDArray[np.int32]
    targets: NDArray[np.bool_]


class Encoded(NamedTuple):
    """What one row became: no sample where nothing carries loss, several where a document was cut."""

    samples: tuple[Sample, ...]
    is_truncated: bool = False
    why_skipped: str = ""


def encode(
    batch: Sequence[Rendered], tokenizer: Any, *, max_length: int, cut_into_several: bool
) -> Iterator[Encoded]:
    """Tokenises a batch of texts of the same kind.

    Args:
        batch: texts, all with the same `is_complete`.
        tokenizer: a fast tokenizer of transformers.
        max_length: most tokens in a sample.
        cut_into_several: whether a longer text becomes several samples instead of being cut off.
    """
    encoding = tokenizer(
        [rendered.text for rendered in batch],
        add_special_tokens=not batch[0].is_complete,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    special = frozenset(tokenizer.all_special_ids)
    for rendered, ids, offsets in zip(batch, encoding["input_ids"], encoding["offset_mapping"], strict=True):
        sample = _sample(ids, _targets(offsets, rendered.spans))
        if sample is None:
            yield Encoded((), why_skipped=NO_ANSWER)
        elif cut_into_several:
            yield Encoded(tuple(windows(_ended(sample, tokenizer.eos_token_id, special), max_length)))
        else:
            yield _cut(sample, eos=tokenizer.eos_token_id, special=special, max_length=max_length)


def _targets(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """True for tokens that overlap a span; a token of no characters overlaps none."""
    bounds = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    targets = np.zeros(len(bounds), dtype=np.bool_)
    for start, end in spans:
        targets |= (bounds[:, 1] > start) & (bounds[:, 0] < end) & (bounds[:, 1] > bounds[:, 0])
    targets[:1] = False
    return targets


def _sample(ids: Sequence[int], targets: NDArray[np.bool_]) -> Sample | None:
    """Drops what follows the last target: nothing that carries loss sees it."""
    learned = np.flatnonzero(targets)
    if not len(learned):
        return None
    length = int(learned[-1]) + 1
    return Sample(np.asarray(ids[:length], dtype=np.int32), targets[:length])


def _cut(sample: Sample, *, eos: int | None, special: frozenset[int], max_length: int) -> Encoded:
    if len(sample.ids) > max_length:
        cut = _sample(sample.ids[:max_length].tolist(), sample.targets[:max_length])
        if cut is None:
            return Encoded((), why_skipped=f"its prompt alone fills the {max_length} tokens of a sample")
        return Encoded((cut,), is_truncated=True)
    if len(sample.ids) < max_length:
        sample = _ended(sample, eos, special)
    return Encoded((sample,))


def _ended(sample: Sample, eos: int | None, special: frozenset[int]) -> Sample:
    """Appends the end-of-sequence token as a target, unless the text ends with a special token of its own."""
    if eos is None or int(sample.ids[-1]) in special:
        return sample
    return Sample(
        np.append(sample.ids, np.int32(eos)).astype(np.int32, copy=False), np.append(sample.targets, np.True_)
    )


def windows(sample: Sample, max_length: int) -> Iterator[Sample]:
    """Cuts a sample into several that overlap by one token: every token but the first is a target once."""
    for start in range(0, max(len(sample.ids) - 1, 1), max_length - 1):
        targets = sample.targets[start : start + max_length].copy()
        targets[0] = False
        if targets.any():
            yield Sample(sample.ids[start : start + max_length], targets)
