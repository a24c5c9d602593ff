"""Preparation: model and data are fetched, checked, rendered and tokenised once, so that workers only compute."""

from collections.abc import Callable

from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared, open_prepared


def prepare(
    config: RunConfig,
    layout: Layout,
    *,
    token: str | None,
    offline: bool = False,
    progress: Callable[[str], None],
) -> Prepared:
    """Makes everything that training starts from, or opens it when it is there."""
    return open_prepared(config, layout)
