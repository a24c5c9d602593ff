"""What two runs must share for one to go on where the other left off, as values that can be named."""

from collections.abc import Mapping
from typing import Any, Final

from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared

DIGEST: Final = "the prepared data"
"""Follows from the others, so that it says something only where they are equal."""


def settings_of(config: RunConfig, prepared: Prepared) -> dict[str, Any]:
    """Base model, data, method, batch size and seed of a run, by the names of their fields; `auto` stands
    for what it came to."""
    lora = config.method.lora.model_dump(mode="json", by_alias=True)
    written = config.dataset.model_dump(mode="json", by_alias=True, exclude={"source", "revision"})
    data = written | {"format": prepared.format_name, "template": prepared.template}
    return {
        "the base model": f"{prepared.base_model_name}@{prepared.base_revision}",
        "model.quantization": config.model.quantization,
        **{f"method.lora.{name}": value for name, value in lora.items()},
        **{f"dataset.{name}": value for name, value in data.items()},
        "training.batchSize": config.training.batch_size,
        "training.maxSequenceLength": config.training.max_sequence_length,
        "training.seed": config.training.seed,
        DIGEST: prepared.facts.digest,
    }


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """One line for every setting that differs; empty where the runs are one."""
    unequal = [name for name in ours if theirs.get(name) != ours[name]]
    telling = [name for name in unequal if name != DIGEST] or unequal
    return [f"{name}: {theirs.get(name, 'not known')} there, {ours[name]} here" for name in telling]
