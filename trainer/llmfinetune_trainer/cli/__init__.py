"""The command `llmfinetune`."""

from llmfinetune_trainer.cli.main import main

__all__ = ["main"]
