"""A measurement of a few layers stands for all of them; the clock is the test's."""

import pytest

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.backend import Backend
from llmfinetune_trainer.estimate.saved import one_document
from llmfinetune_trainer.estimate.speed import measure
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
        recompute=True,
        budget=0.0,
    )
    assert speed.seconds > 0
