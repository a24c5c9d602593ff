"""Low-rank adapters through peft, with 32-bit master weights in one flat buffer.

The layers hold copies in the type of the computation; the optimizer, the gradient's all-reduce, checkpoints
and the result work on the masters. One buffer makes each of them a single operation.
"""

import math
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model
from torch import Tensor
from torch.nn import Parameter
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.errors import user_error
from llmfinetune_trainer.model.quantised import QuantisedLinear
from llmfinetune_trainer.model.targets import ALL_LINEAR, layer_kinds, linear_layers, resolve_targets

ADAPTER_NAME = "default"


class Adapters:
    """All adapter weights of a model: copies in the layers, masters and gradients in flat 32-bit buffers.

    `bucket` holds the gradient and one more number, the loss, so that one all-reduce a step carries both.
    """

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self.parameters = dict(sorted(parameters.items()))
        sizes = [parameter.numel() for parameter in self.parameters.values()]
        device = next(iter(self.parameters.values())).device
        self.master = torch.zeros(sum(sizes), device=device)
        self.bucket = torch.zeros(sum(sizes) + 1, device=device)
        self._masters = self._views(self.master, sizes)
        self._gradients = self._views(self.gradient, sizes)

    def _views(self, flat: Tensor, sizes: list[int]) -> dict[str, Tensor]:
        parts = zip(self.parameters.items(), torch.split(flat, sizes), strict=True)
        return {name: part.view(parameter.shape) for (name, parameter), part in parts}

    @property
    def gradient(self) -> Tensor:
        """Flat gradient, summed over the micro-batches of a step; a view of `bucket`."""
        return self.bucket[:-1]

    @property
    def gradients(self) -> Mapping[str, Tensor]:
        """Views of the flat gradient by name."""
        return self._gradients

    def collect_gradients(self) -> None:
        """Adds what autograd left in the layers to the flat gradient, and clears it there."""
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                self._gradients[name].add_(parameter.grad)
                parameter.grad = None

    @torch.no_grad()
    def publish(self) -> None:
        """Copies the masters into the layers."""
        for name, parameter in self.parameters.items():
            parameter.copy_(self._masters[name])

    def views_of(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of any flat buffer with the masters' layout, by name."""
        return self._views(flat, [parameter.numel() for parameter in self.parameters.values()])

    def state(self) -> dict[str, Tensor]:
        """A copy of the masters, by the names that peft saves."""
        return {name: master.clone() for name, master in self._masters.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes masters from `state` and publishes them."""
        for name, master in self._masters.items():
            master.copy_(state[name])
        self.publish()


def attach_adapters(model: PreTrainedModel, lora: LoraConfig, *, seed: int) -> tuple[PeftModel, Adapters]:
    """Wraps the model's target layers in LoRA. B starts at zero, so the model still computes the same.

    Raises:
        RunError: the output layer is among the targets, which the loss needs frozen.
    """
    with of_peft_alone():
        peft_model = get_peft_model(model, peft_config(model, lora), autocast_adapter_dtype=False)
    # peft's files give the orientation of the plain model's layers, whatever holds them here
    peft_model.peft_config[ADAPTER_NAME].fan_in_fan_out = _has_conv1d(model)
    parameters = {_saved_name(name): p for name, p in peft_model.named_parameters() if p.requires_grad}
    for parameter in parameters.values():  # beside codes, peft cannot tell the type of the computation
        parameter.data = parameter.data.to(model.dtype)
    if hasattr(model.get_output_embeddings(), "base_layer"):
        raise user_error(
            "TargetNotSupported",
            "method.lora.targetModules names the output layer, which stays frozen",
            hint="remove it from method.lora.targetModules; `all-linear` leaves it out by itself",
        )
    adapters = Adapters(parameters)
    adapters.load(initial_state(adapters.parameters, seed=seed))
    return peft_model, adapters


def peft_config(model: PreTrainedModel, lora: LoraConfig) -> PeftLoraConfig:
    """The adapter's configuration in peft's own form."""
    return PeftLoraConfig(
        r=lora.rank,
        lora_alpha=int(lora.alpha) if lora.alpha.is_integer() else lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=target_modules(model, lora.target_modules),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
        bias="none",
        task_type="CAUSAL_LM",
    )


@contextmanager
def of_peft_alone() -> Iterator[None]:
    """Keeps back a warning for peft's authors: it reads a property that transformers has renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def _has_conv1d(model: PreTrainedModel) -> bool:
    return any(
        isinstance(module, Conv1D) or (isinstance(module, QuantisedLinear) and module.is_conv1d)
        for module in model.modules()
    )


def target_modules(model: PreTrainedModel, targets: Sequence[str]) -> list[str]:
    """Targets as peft matches them, by the end of a layer's full name; patterns become full names.

    Raises:
        RunError: a target matches no linear layer.
    """
    layers = resolve_targets(linear_layers(model), targets, others=layer_kinds(model))
    return layers if any("*" in target or target == ALL_LINEAR for target in targets) else list(targets)


def initial_state(parameters: Mapping[str, Parameter], *, seed: int) -> dict[str, Tensor]:
    """Starting weights: A uniform within 1/√(inputs), B zero; a function of the seed and the name alone."""
    return {name: _initial(name, parameter.shape, seed) for name, parameter in parameters.items()}


def _initial(name: str, shape: torch.Size, seed: int) -> Tensor:
    if ".lora_B" in name or ".lora_embedding_A" in name:
        return torch.zeros(shape)
    # torch's generator takes only the low 32 bits of a seed: mix, do not shift
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{name}".encode()))
    bound = 1.0 / math.sqrt(shape[-1])
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def _saved_name(name: str) -> str:
    return name.replace(f".{ADAPTER_NAME}", "")
