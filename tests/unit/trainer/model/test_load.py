"""A base model is whole, or is not trained."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.model.load import load_base
from tests.unit.trainer.tiny_model import make_tiny_model

pytestmark = pytest.mark.timeout(300)  # importing torch takes long on a busy machine


def test_weights_that_are_missing_are_named_and_not_made_up(tmp_path: Path) -> None:
    file = make_tiny_model(tmp_path) / "model.safetensors"
    weights = load_file(file)
    del weights["lm_head.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(RunError, match=r"lacks weights of its model: lm_head\.weight") as raised:
        load_base(tmp_path, dtype=torch.float32)
    assert raised.value.failure.category == "ModelAccess"
