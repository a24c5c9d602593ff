"""Weights in 8 and 4 bits: how near they stay, and what a layer computes with them."""

import pytest
import torch
from torch import Tensor

from llmfinetune_trainer.model.quantised import NF4, SCHEMES, QuantisedLinear, Quantization, Scratch

SHAPES = [(96, 128), (40, 72), (1500, 1024)]


def weights(outputs: int, inputs: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    generator = torch.Generator().manual_seed(outputs)
    return (torch.randn(outputs, inputs, generator=generator) * 0.05).to(dtype)


def stored(weight: Tensor, quantization: Quantization, bias: Tensor | None = None) -> QuantisedLinear:
    return QuantisedLinear(weight, bias, quantization=quantization, scratch=Scratch())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_int8_is_within_half_a_step_of_each_output(shape: tuple[int, int]) -> None:
    weight = weights(*shape, dtype=torch.float32)
    step = weight.abs().amax(1, keepdim=True) / 127.0
    error = (stored(weight, "int8").dequantised() - weight).abs()
    assert bool((error <= 0.5001 * step).all())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nf4_takes_the_nearest_of_its_numbers_in_each_block(shape: tuple[int, int]) -> None:
    weight = weights(*shape, dtype=torch.float32)
    block = 64 if shape[1] % 64 == 0 else 8
    scaled = weight.view(shape[0], -1, block)
    scales = scaled.abs().amax(-1, keepdim=True)
    distances = (scaled.unsqueeze(-1) / scales.unsqueeze(-1) - torch.tensor(NF4)).abs()
    expected = torch.tensor(NF4)[distances.argmin(-1)] * scales
    torch.testing.assert_close(stored(weight, "nf4").dequantised(), expected.view(shape))


@pytest.mark.parametrize(("quantization", "bound"), [("int8", 0.01), ("nf4", 0.1)])
def test_normal_weights_keep_most_of_themselves(quantization: Quantization, bound: float) -> None:
    weight = weights(256, 512)
    error = stored(weight, quantization).dequantised().float() - weight.float()
    assert float(error.norm() / weight.float().norm()) < bound


@pytest.mark.parametrize("quantization", SCHEMES)
def test_storage_takes_the_bits_that_it_says(quantization: Quantization) -> None:
    layer = stored(weights(2048, 1024), quantization)
    held = sum(each.numel() * each.element_size() for each in (layer.weight, layer.get_buffer("scales")))
    assert held * 8 == pytest.approx(SCHEMES[quantization].bits * 2048 * 1024, rel=0.02)


@pytest.mark.parametrize("quantization", SCHEMES)
def test_quantising_what_was_dequantised_changes_nothing(quantization: Quantization) -> None:
    once = stored(weights(96, 128, torch.float32), quantization).dequantised().clone()
    torch.testing.assert_close(stored(once, quantization).dequantised(), once, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("quantization", SCHEMES)
def test_rows_of_zeros_stay_zeros(quantization: Quantization) -> None:
    weight = weights(8, 64)
    weight[3] = 0.0
    assert not stored(weight, quantization).dequantised()[3].any()


@pytest.mark.parametrize("quantization", SCHEMES)
def test_rows_may_lie_apart(quantization: Quantization) -> None:
    layer = stored(weights(1500, 1024), quantization)
    apart = torch.full((1500, 1032), 7.0, dtype=torch.bfloat16)
    layer.dequantise(out=apart[:, :1024])
    assert torch.equal(apart[:, :1024], layer.dequantised())
    assert bool((apart[:, 1024:] == 7.0).all())


@pytest.mark.parametrize("quantization", SCHEMES)
def test_a_layer_computes_with_its_dequantised_weight_forwards_and_backwards(
    quantization: Quantization,
) -> None:
    weight, bias = weights(24, 64, torch.float32), torch.randn(24)
    scratch = Scratch()
    layer = QuantisedLinear(weight, bias, quantization=quantization, scratch=scratch)
    other = QuantisedLinear(weights(64, 64, torch.float32), None, quantization=quantization, scratch=scratch)
    plain = torch.nn.functional.linear
    x = torch.randn(5, 64, requires_grad=True)
    expected_x = x.detach().clone().requires_grad_()
    dequantised, other_dequantised = layer.dequantised().clone(), other.dequantised().clone()
    result = layer(other(x))
    expected = plain(plain(expected_x, other_dequantised), dequantised, bias)
    result.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(x.grad, expected_x.grad)
