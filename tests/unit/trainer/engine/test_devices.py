"""Where tensors are made: on torch's meta device every one that is made elsewhere is an error."""

import pytest
import torch

from llmfinetune_trainer.engine.batches import micro_batch
from llmfinetune_trainer.engine.gradients import GeneralGradients, placed
from llmfinetune_trainer.engine.loss import cross_entropy_sum
from llmfinetune_trainer.engine.optimizer import FlatAdamW
from llmfinetune_trainer.model.load import head_of
from llmfinetune_trainer.model.lora import Adapters

from .tiny import ARCHITECTURES, MemorySamples, adapted


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_general_engine_computes_where_the_model_is(architecture: str) -> None:
    model, before, _ = adapted(architecture)
    model.to("meta")
    adapters = Adapters({name: model.get_parameter(_name(name)) for name in before.parameters})
    computer = GeneralGradients(model, adapters)
    batch = placed(micro_batch(MemorySamples([12, 7]), [0, 1]), adapters.master.device)
    head = head_of(model.get_base_model())
    loss = cross_entropy_sum(computer.hidden(batch)[batch.rows], head, batch.targets)
    loss.backward()
    adapters.collect_gradients()
    optimizer = FlatAdamW(adapters.master, weight_decay=0.1)
    optimizer.step(adapters.gradient, learning_rate=0.1)
    adapters.publish()
    everything = (loss, adapters.master, adapters.bucket, optimizer.first, *adapters.state().values())
    assert {tensor.device for tensor in everything} == {torch.device("meta")}


def _name(saved: str) -> str:
    """peft's own name of a parameter."""
    return saved.replace(".weight", ".default.weight")
