"""Memory by part: what it grows with, and what autograd keeps against what is counted."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.gradients import GeneralGradients
from llmfinetune_trainer.estimate.memory import Memory, memory_of
from llmfinetune_trainer.estimate.saved import one_document, saved_bytes, saved_per_token
from llmfinetune_trainer.estimate.shape import shape_of
from llmfinetune_trainer.model.lora import attach_adapters
from llmfinetune_trainer.model.quantised import Quantization
from llmfinetune_trainer.model.reduced import reduced_model
from tests.unit.trainer.estimate.builders import llama, shape

LORA = LoraConfig(rank=4, target_modules=["q_proj", "v_proj"])


def memory(*, rows: int = 1024, recompute: bool = False, in_pod: bool = False) -> Memory:
    return memory_of(shape(), rows=rows, recompute=recompute, data=5, in_pod=in_pod)


def test_activations_grow_with_the_rows_and_shrink_when_computed_again() -> None:
    assert memory(rows=2048).activations == 2 * memory(rows=1024).activations
    assert memory(recompute=True).activations < memory().activations / 2
    assert memory(recompute=True).base == memory().base


def test_a_pod_holds_a_launcher_too() -> None:
    assert memory(in_pod=True).total - memory().total == memory(in_pod=True).agent > 0


def test_the_total_is_the_sum_of_the_parts() -> None:
    found = memory()
    assert found.total == sum(found._asdict().values())
    assert found.data == 5


def test_shape_counts_shared_weights_once_and_adapters_on_their_targets() -> None:
    model = AutoModelForCausalLM.from_config(llama(tie_word_embeddings=True))
    found = shape_of(model, LORA, engine="fused", item_bytes=2)
    assert found.base_bytes == 2 * sum(p.numel() for p in model.parameters())
    assert found.weights.head == 64 * 1000
    assert found.weights.layers == 6 * 64 * (64 + 32 + 32 + 64 + 3 * 160)
    assert found.weights.adapters == 6 * 4 * ((64 + 64) + (64 + 32))
    assert found.targets == ("q_proj", "v_proj")


@pytest.mark.parametrize(("quantization", "bits"), [(None, 16.0), ("int8", 8.0), ("nf4", 4.25)])
def test_a_quantised_base_takes_the_bits_of_its_layers_and_one_layer_besides(
    quantization: Quantization | None, bits: float
) -> None:
    found = shape(quantization=quantization)
    layers, scratch = found.weights.layers, 0 if quantization is None else found.largest_layer
    assert found.base_bytes == int(2 * (1_000_000 - layers + scratch) + layers * bits / 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_what_all_layers_keep_follows_from_a_few(dtype: torch.dtype) -> None:
    config = llama()
    model = reduced_model(config, layers=config.num_hidden_layers, dtype=dtype)
    peft_model, adapters = attach_adapters(model, LORA, seed=0)
    computer = GeneralGradients(peft_model, adapters)
    kept = saved_bytes(lambda: computer.hidden(one_document(128)), weights=peft_model.parameters())
    foretold = saved_per_token(shape(config=config, engine="general"), LORA, dtype=dtype)
    assert foretold.in_all * 128 == pytest.approx(kept, rel=0.01)
