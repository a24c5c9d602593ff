"""A measurement of a few layers stands for all of them; the clock is the test's."""

import pytest
import torch
from transformers import MistralConfig

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.backend import Backend
from llmfinetune_trainer.engine.fused import FusedGradients
from llmfinetune_trainer.engine.gradients import GeneralGradients, GradientComputer
from llmfinetune_trainer.estimate.saved import one_document
from llmfinetune_trainer.estimate.speed import _computer, measure
from tests.unit.trainer.estimate.builders import llama, shape


class Clock:
    """Stands still unless it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("layers", [3, 20], ids=["all layers are measured", "layers are added"])
def test_seconds_of_all_layers(layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    class Computer:
        def __init__(self, layers: int) -> None:
            self.layers = layers

        def forward_backward(self, *_: object, **__: object) -> float:
            clock.now += 1.0 + 2.0 * self.layers
            return 0.0

    monkeypatch.setattr(
        "llmfinetune_trainer.estimate.speed._computer",
        lambda _shape, _lora, layers, _, **__: Computer(layers),
    )
    speed = measure(
        shape(config=llama(num_hidden_layers=layers)),
        LoraConfig(),
        [one_document(16)] * 2,
        backend=Backend(name="torch", precision="fp32", isa="generic"),
        max_length=16,
        recompute=False,
        budget=5.0,
        clock=clock,
    )
    assert speed.seconds == pytest.approx(2 * (1.0 + 2.0 * layers))
    assert speed.rounds == 1


def test_the_real_engine_is_measured() -> None:
    speed = measure(
        shape(config=llama(), item_bytes=4),
        LoraConfig(rank=2, target_modules=["q_proj", "v_proj"]),
        [one_document(32)],
        backend=Backend(name="torch", precision="fp32", isa="generic"),
        max_length=32,
        recompute=True,
        budget=0.0,
    )
    assert speed.seconds > 0


@pytest.mark.parametrize(
    ("max_length", "engine"),
    [(32, FusedGradients), (64, GeneralGradients)],
    ids=["within the window", "beyond it"],
)
def test_the_engine_that_trains_is_measured(max_length: int, engine: type[GradientComputer]) -> None:
    sizes = llama().to_dict() | {
        "model_type": "mistral",
        "sliding_window": 32,
        "max_position_embeddings": 128,
    }
    computer = _computer(
        shape(config=MistralConfig(**sizes), item_bytes=4),
        LoraConfig(rank=2, target_modules=["q_proj"]),
        2,
        torch.zeros(1000, 64),
        backend=Backend(name="torch", precision="fp32", isa="generic"),
        max_length=max_length,
        recompute=False,
    )
    assert isinstance(computer, engine)
