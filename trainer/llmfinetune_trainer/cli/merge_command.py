"""`llmfinetune merge`: writes a base model and its adapter as one model."""

import argparse
import json
from pathlib import Path

from peft import LoraConfig as PeftLoraConfig
from safetensors.torch import load_file

from llmfinetune_trainer.cli.generate_command import model_and_adapter
from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.errors import user_error
from llmfinetune_trainer.export import WEIGHTS, files_digest
from llmfinetune_trainer.merge import LINEAGE, merge


def run(options: argparse.Namespace) -> int:
    """Merges, and prints where the model lies and its digest."""
    model, adapter = model_and_adapter(options)
    if adapter is None:
        raise user_error("AdapterNotNamed", "no adapter is named", hint="give --adapter, or --workspace")
    target = _target(options)
    try:
        lineage = json.loads((adapter / LINEAGE).read_text(encoding="utf-8"))
        weights, config = load_file(adapter / WEIGHTS), PeftLoraConfig.from_pretrained(str(adapter))
    except (OSError, ValueError) as error:
        raise user_error(
            "AdapterUnreadable",
            f"{adapter} is no adapter of `llmfinetune train`: {error}",
            hint="name the directory output/adapter of a workspace or volume",
        ) from None
    merge(model, target, adapter=weights, peft_config=config, lineage=lineage)
    print(f"{target}\n{files_digest(target)}")  # noqa: T201 - this is the output
    return exit_codes.OK


def _target(options: argparse.Namespace) -> Path:
    if options.into is not None:
        return Path(options.into)
    if options.workspace is None:
        raise user_error("TargetNotNamed", "no directory to write is named", hint="give --into")
    return Layout(options.workspace).merged
