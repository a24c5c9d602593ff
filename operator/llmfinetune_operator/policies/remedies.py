"""What is changed after workers ran out of memory: they compute half as many tokens at once, twice at most.

The results stay the same: a step's gradient is the sum over its micro-batches, however they are cut. What was
changed is remembered in the status, and holds for all attempts from then on.
"""

from typing import Final

from llmfinetune_operator.api.status import MAX_REMEDIES
from llmfinetune_operator.api.v1alpha1 import FailureStatus, Remedy
from llmfinetune_operator.policies.trouble import MAX_TEXT, shorten
from llmfinetune_operator.policies.view import View
from llmfinetune_operator.times import format_time

AUTOMATIC_TOKENS: Final = 2048
"""What the trainer takes where nothing else is known of the memory that there is."""
LEAST_TOKENS: Final = 128
"""Below, micro-batches hold single samples anyway, and memory is taken by something else."""


def next_remedy(view: View, *, attempt: int) -> Remedy | None:
    """What `attempt` is to do otherwise, None where nothing is left to try."""
    before = tokens_at_once(view)
    if len(view.previous.remedies) >= MAX_REMEDIES or before // 2 < LEAST_TOKENS:
        return None
    return Remedy(
        category="OutOfMemory",
        attempt=attempt,
        time=format_time(view.now),
        micro_batch_tokens_before=before,
        micro_batch_tokens=before // 2,
    )


def tokens_at_once(view: View) -> int:
    """Tokens of a micro-batch as the workers run now: as they are told, or as they chose by themselves."""
    runtime = (view.report.runtime if view.report else None) or view.previous.runtime
    chosen = runtime.micro_batch_tokens if runtime else None
    return view.run_config.runtime.micro_batch_tokens or chosen or AUTOMATIC_TOKENS


def exhausted(view: View, last: FailureStatus) -> FailureStatus:
    """The failure of workers that run out of memory whatever is tried, with the numbers."""
    limit = view.spec.workers.resources.limits.memory
    memory = f"workers have {limit}" if limit else "workers have no memory limit of their own"
    tried = [each.micro_batch_tokens for each in view.previous.remedies]
    first = [each.micro_batch_tokens_before for each in view.previous.remedies[:1]] or [tokens_at_once(view)]
    sizes = ", ".join(map(str, [*first, *tried]))
    hint = (
        f"{memory}, and micro-batches of {sizes} tokens were tried: {_more(limit)}, or lower "
        f"training.maxSequenceLength (now {view.spec.training.max_sequence_length})"
    )
    return last.model_copy(update={"hint": shorten(hint, MAX_TEXT)})


def prepare_ran_out(view: View, last: FailureStatus) -> FailureStatus:
    """The failure of a preparation that ran out of memory: it would do so again."""
    limit = view.spec.workers.resources.limits.memory
    whose = f"the memory of a worker, {limit}" if limit else "no limit of its own"
    return last.model_copy(update={"hint": f"preparation has {whose}: {_more(limit)}"})


def _more(limit: str | None) -> str:
    """What gives pods more memory; without a limit their node ran out of it."""
    if limit:
        return "raise workers.resources.limits.memory"
    return "raise workers.resources.requests.memory, so that pods get nodes with more"
