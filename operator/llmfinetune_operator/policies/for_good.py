"""How a failure is told once it has ended a fine-tune: what was tried, that nothing is tried any more, and
the way on.

A fine-tune that failed stays so whatever is edited, and much of a spec cannot be edited at all
(`api.changes`). What a hint asks for belongs into a new fine-tune; what was saved need not be done again.
"""

import re
from dataclasses import replace
from typing import Final

from llmfinetune_operator.policies.checkpoints import newest_step
from llmfinetune_operator.policies.trouble import MAX_TEXT, Trouble, shorten
from llmfinetune_operator.policies.view import View

_PROMISE: Final = re.compile(r"nothing to do: [^;]*")
"""What a hint begins with where the failure passes by itself."""
_LOOK: Final = "look at what the message names, at status.failure.logTail and at `kubectl describe pod`"
_STAYS: Final = "This fine-tune stays Failed, whatever is edited"


def for_good(view: View, trouble: Trouble) -> Trouble:
    """The trouble that ends the fine-tune, in words that are true from then on."""
    told = trouble.failure
    message = f"gave up after {trouble.tried}: {told.message}" if trouble.tried else told.message
    way = _way_on(view)
    hint = shorten(_PROMISE.sub(_LOOK, told.hint).rstrip("."), MAX_TEXT - len(way) - 2)
    changes = {
        "message": shorten(message, MAX_TEXT),
        "hint": f"{hint}. {way}" if hint else way,
        "retryable": False,
    }
    return replace(trouble, failure=told.model_copy(update=changes))


def _way_on(view: View) -> str:
    step, total = newest_step(view), _num_steps(view)
    if total and step >= total:
        return (
            f"{_STAYS}: delete it and apply it again. With storage.retain true its volume stays, on which "
            "all steps are done, and grows to a larger storage.size where its storage class lets it"
        )
    new = f"{_STAYS}: put that right in a new one of another name"
    if not step:
        return new
    return (
        f"{new}. Where model, data, method, training.maxSequenceLength and training.seed are the same, "
        f"resumeFrom.fineTune: {view.owner.name} lets it go on from the checkpoint of step {step}"
    )


def _num_steps(view: View) -> int | None:
    """Steps of the whole run, None where nothing was told of them."""
    if view.report is not None and view.report.total_steps:
        return view.report.total_steps
    return view.previous.progress.total_steps if view.previous.progress else None
