"""What two runs must share for one to continue the other."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from llmfinetune_trainer.checkpoint.settings import differences, settings_of
from llmfinetune_trainer.manifest import load_manifest

ROOT = Path(__file__).parents[4]
SAME_DATA: Any = SimpleNamespace(
    base_model_name="model",
    base_revision="r",
    format_name="alpaca",
    template="alpaca",
    facts=SimpleNamespace(digest="d"),
)


def test_the_sample_continues_the_example_that_it_names() -> None:
    first, longer = (
        load_manifest(ROOT / path)
        for path in ("examples/medical/finetune.yaml", "deploy/samples/resume.yaml")
    )
    assert longer.resume_from is not None
    assert longer.resume_from.fine_tune == first.name
    assert differences(settings_of(first, SAME_DATA), settings_of(longer, SAME_DATA)) == []
