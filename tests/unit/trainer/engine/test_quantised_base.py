"""Training on a quantised base: it computes what its dequantised weights say, and adapters still learn."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.backend import Backend, gradient_computer
from llmfinetune_trainer.engine.batches import micro_batch
from llmfinetune_trainer.engine.gradients import GradientComputer
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.model.load import load_base
from llmfinetune_trainer.model.lora import Adapters, attach_adapters
from llmfinetune_trainer.model.quantised import QuantisedLinear, Quantization

from .tiny import TARGETS, MemorySamples, base_model

PAIR: tuple[Quantization | None, ...] = ("nf4", None)
CPU = Backend(name="torch", precision="fp32", isa="avx2")
FAMILIES = ["llama", "qwen2", "gpt2", "gemma2"]
BATCH = micro_batch(MemorySamples([12, 7, 9]), [0, 1, 2])


def saved(directory: Path, architecture: str) -> Path:
    base_model(architecture).save_pretrained(directory)
    return directory


def opened(
    directory: Path, architecture: str, quantization: Quantization | None
) -> tuple[Any, Adapters, GradientComputer]:
    """A model with adapters that already do something."""
    lora = LoraConfig(rank=2, target_modules=TARGETS.get(architecture, ["all-linear"]))
    base = load_base(directory, dtype=torch.float32, quantization=quantization)
    model, adapters = attach_adapters(base, lora, seed=1)
    generator = torch.Generator().manual_seed(2)
    adapters.master.add_(torch.randn(adapters.master.shape, generator=generator), alpha=0.05)
    adapters.publish()
    computer, _ = gradient_computer(CPU, model, adapters, lora=lora, max_length=20)
    return model, adapters, computer


def dequantise_in_place(directory: Path, quantization: Quantization) -> None:
    """Writes into the files what their quantised form stands for."""
    model = load_base(directory, dtype=torch.float32, quantization=quantization)
    weights = load_file(directory / "model.safetensors")
    for name, module in model.named_modules():
        if isinstance(module, QuantisedLinear):
            plain = module.dequantised().clone()
            weights[f"{name}.weight"] = plain.t().contiguous() if module.is_conv1d else plain
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
@pytest.mark.parametrize("architecture", FAMILIES)
def test_loss_and_gradient_are_those_of_the_dequantised_weights(
    architecture: str, quantization: Quantization, tmp_path: Path
) -> None:
    path = saved(tmp_path, architecture)
    _, adapters, computer = opened(path, architecture, quantization)
    loss = computer.forward_backward(BATCH, scale=0.1, dropout_seed=0)
    dequantise_in_place(path, quantization)
    _, plain, reference = opened(path, architecture, None)
    assert loss == pytest.approx(reference.forward_backward(BATCH, scale=0.1, dropout_seed=0), rel=1e-5)
    torch.testing.assert_close(adapters.gradient, plain.gradient, rtol=1e-3, atol=1e-6)


# four bits move a model of width 16 more than a real one
@pytest.mark.parametrize(("quantization", "bound"), [("int8", 0.999), ("nf4", 0.8)])
@pytest.mark.parametrize("architecture", FAMILIES)
def test_the_gradient_points_where_that_of_the_whole_weights_does(
    architecture: str, quantization: Quantization, bound: float, tmp_path: Path
) -> None:
    path = saved(tmp_path, architecture)
    gradients = []
    for each in (None, quantization):
        _, adapters, computer = opened(path, architecture, each)
        computer.forward_backward(BATCH, scale=1.0, dropout_seed=0)
        gradients.append(adapters.gradient)
    assert float(torch.nn.functional.cosine_similarity(*gradients, dim=0)) > bound


@pytest.mark.parametrize("architecture", FAMILIES)
def test_only_linear_layers_are_quantised_and_the_rest_is_as_it_was(
    architecture: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, architecture)
    quantised, plain = (load_base(path, dtype=torch.bfloat16, quantization=each) for each in PAIR)
    ours = dict(quantised.named_parameters())
    for name, parameter in plain.named_parameters():
        if isinstance(quantised.get_submodule(name.rpartition(".")[0]), QuantisedLinear):
            assert ours[name].dtype is torch.uint8 or name.endswith("bias")
        else:
            assert torch.equal(ours[name], parameter)
    for name, buffer in plain.named_buffers():
        assert torch.equal(quantised.get_buffer(name), buffer)
    head = quantised.get_output_embeddings().weight
    assert (head is quantised.get_input_embeddings().weight) == plain.config.tie_word_embeddings
    assert quantised.dtype is torch.bfloat16
    assert not any(parameter.requires_grad for parameter in quantised.parameters())


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_adapters_learn_on_a_quantised_base_which_stays_as_it_was(
    architecture: str, quantization: Quantization, tmp_path: Path
) -> None:
    model, adapters, computer = opened(saved(tmp_path, architecture), architecture, quantization)
    before = {name: p.clone() for name, p in model.named_parameters() if "lora_" not in name}
    losses = []
    for _ in range(20):
        adapters.bucket.zero_()
        losses.append(computer.forward_backward(BATCH, scale=0.1, dropout_seed=0))
        adapters.master.sub_(adapters.gradient.sign(), alpha=0.02)
        adapters.publish()
    assert losses[-1] < 0.97 * losses[0]
    assert all(torch.equal(model.get_parameter(name), value) for name, value in before.items())


def test_adapters_compute_in_the_type_of_the_computation(tmp_path: Path) -> None:
    base = load_base(saved(tmp_path, "llama"), dtype=torch.bfloat16, quantization="nf4")
    _, adapters = attach_adapters(base, LoraConfig(target_modules=["q_proj"]), seed=0)
    assert {parameter.dtype for parameter in adapters.parameters.values()} == {torch.bfloat16}


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_the_adapters_configuration_is_that_of_the_plain_model(architecture: str, tmp_path: Path) -> None:
    path, configs = saved(tmp_path, architecture), []
    for each in PAIR:
        model, _, _ = opened(path, architecture, each)
        configs.append(model.peft_config["default"].to_dict())
    assert configs[0] == configs[1]


def test_files_that_name_weights_otherwise_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, "llama")
    save_file({"other": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(RunError, match=r"model\.quantization: the files .* hold no weight model\.embed"):
        load_base(tmp_path, dtype=torch.float32, quantization="int8")
