"""The layer's operations in plain torch: reference for the compiled ones, and used where those cannot run."""

import torch
from torch import Tensor
from torch.nn import functional

from llmfinetune_trainer.engine.fused import torch_attention
from llmfinetune_trainer.engine.fused.kernels import Documents, Dropout, Heads, Rotary


class TorchKernels:
    """See `Kernels`."""

    name = "torch"

    def product(self, a: Tensor, b: Tensor, *, out: Tensor, bias: Tensor | None = None) -> None:
        """See `Kernels`."""
        torch_product(a, b, out=out, bias=bias)

    def product_over_rows(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Kernels`."""
        return torch.mm(a.t(), b)

    def rms_norm(
        self,
        x: Tensor,
        weight: Tensor,
        *,
        eps: float,
        out: Tensor,
        delta: Tensor | None = None,
        total: Tensor | None = None,
    ) -> Tensor:
        """See `Kernels`."""
        if delta is not None:
            x = torch.add(x, delta, out=total)
        wide = x.float()
        rstd = wide.square().mean(-1).add_(eps).rsqrt_()
        out.copy_(wide * rstd.unsqueeze(-1) * weight)
        return rstd

    def rms_norm_backward(
        self, upstream: Tensor, x: Tensor, weight: Tensor, *, rstd: Tensor, out: Tensor, accumulate: bool
    ) -> None:
        """See `Kernels`."""
        weighted = upstream.float() * weight
        normed = x.float() * rstd.unsqueeze(-1)
        inward = (weighted * normed).mean(-1, keepdim=True)
        gradient = (weighted - normed * inward) * rstd.unsqueeze(-1)
        out.copy_(gradient + out if accumulate else gradient)

    def rotate(
        self, x: Tensor, rotary: Rotary, positions: Tensor, *, size: int, backward: bool = False
    ) -> None:
        """See `Kernels`."""
        cosine, sine = rotary.cosine[positions].unsqueeze(1), rotary.sine[positions].unsqueeze(1)
        low, high = torch.unflatten(x, -1, (-1, 2, size // 2)).unbind(2)
        sine = -sine if backward else sine
        turned = low * cosine - high * sine, high * cosine + low * sine
        low.copy_(turned[0])
        high.copy_(turned[1])

    def swiglu(self, gate_up: Tensor, *, out: Tensor) -> None:
        """See `Kernels`."""
        gate, up = gate_up.float().chunk(2, dim=-1)
        out.copy_(functional.silu(gate) * up)

    def swiglu_backward(self, upstream: Tensor, gate_up: Tensor, *, out: Tensor) -> None:
        """See `Kernels`."""
        gate, up = gate_up.float().chunk(2, dim=-1)
        probability = gate.sigmoid()
        silu = gate * probability
        slope = probability + silu * (1.0 - probability)
        of_gate, of_up = out.chunk(2, dim=-1)
        of_gate.copy_(upstream * up * slope)
        of_up.copy_(upstream * silu)

    def dropout(self, x: Tensor, dropout: Dropout, *, out: Tensor, accumulate: bool = False) -> None:
        """See `Kernels`."""
        kept = x * (keep_mask(dropout, x.shape[-1]) * dropout.scale)
        out.copy_(out + kept if accumulate else kept)

    def cross_entropy(self, logits: Tensor, targets: Tensor, *, gradient: bool) -> Tensor:
        """See `Kernels`."""
        wide = logits.float()
        target = wide.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        norm = wide.logsumexp(-1)
        if gradient:
            slope = wide.sub_(norm.unsqueeze(-1)).exp_()
            slope[torch.arange(len(targets)), targets] -= 1.0
            logits.copy_(slope)
        return norm - target

    def attention(self, qkv: Tensor, documents: Documents, heads: Heads, *, out: Tensor) -> Tensor:
        """See `Kernels`."""
        return torch_attention.forward(qkv, documents, heads, out=out)

    def attention_backward(
        self,
        upstream: Tensor,
        qkv: Tensor,
        statistics: Tensor,
        documents: Documents,
        heads: Heads,
        *,
        out: Tensor,
    ) -> None:
        """See `Kernels`."""
        torch_attention.backward(upstream, qkv, statistics, documents, heads, out=out)


def torch_product(a: Tensor, b: Tensor, *, out: Tensor, bias: Tensor | None) -> None:
    """out = a·b + bias through torch's libraries."""
    if bias is None:
        torch.mm(a, b, out=out)
    else:
        torch.addmm(bias, a, b, out=out)


def keep_mask(dropout: Dropout, columns: int) -> Tensor:
    """[rows, columns], true where an entry is kept."""
    rows = mix(dropout.seed + dropout.keys * 0x9E3779B9)
    return mix(rows.unsqueeze(-1) + torch.arange(columns)) >= dropout.threshold


def mix(x: Tensor) -> Tensor:
    """A hash of 32 bits in 64-bit integers, whose products wrap and whose low halves are exact."""
    x = x & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)
