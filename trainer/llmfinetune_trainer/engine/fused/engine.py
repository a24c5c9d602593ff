"""Loss and gradients of a micro-batch of a Llama-shaped model, without autograd: the engine's fast path."""

import math
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import Tensor

from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.fused import attention_block, mlp_block
from llmfinetune_trainer.engine.fused.attention_block import SavedAttention, Stream
from llmfinetune_trainer.engine.fused.head import loss_and_gradient
from llmfinetune_trainer.engine.fused.kernels import Heads, Kernels, Rotary
from llmfinetune_trainer.engine.fused.layer import Layer, Pass, build_layer
from llmfinetune_trainer.engine.fused.mlp_block import SavedMlp
from llmfinetune_trainer.engine.fused.prefix import Rows, rows_of
from llmfinetune_trainer.engine.fused.selection import choose_kernels
from llmfinetune_trainer.engine.fused.space import Space
from llmfinetune_trainer.model.lora import ADAPTER_NAME, Adapters


class _SavedLayer(NamedTuple):
    attention: SavedAttention
    mlp: SavedMlp


class FusedGradients:
    """A `GradientComputer` for models that `supports` accepts.

    The model's weights move into the engine's matrices and its parameters become views of them: it can
    still be used, but must not be moved or cast.

    Args:
        model: the frozen model with its adapters.
        adapters: its adapters' flat state; the layers must hold what was published last.
        kernels: `None` chooses by type and processor.
        share_prefix: whether a common beginning of all documents is computed once.
        recompute: whether activations are computed again in the backward pass instead of kept: at most half
            of their memory, and half again as much work in the layers.
    """

    def __init__(
        self,
        model: PeftModel,
        adapters: Adapters,
        *,
        kernels: Kernels | None = None,
        share_prefix: bool = True,
        recompute: bool = False,
    ) -> None:
        causal = model.get_base_model()
        decoder, config = causal.model, causal.config
        gradients = {id(adapters.parameters[name]): view for name, view in adapters.gradients.items()}
        self.layers = [build_layer(index, module, gradients) for index, module in enumerate(decoder.layers)]
        self.embedding: Tensor = decoder.embed_tokens.weight.detach()
        self.head: Tensor = causal.lm_head.weight.detach()
        self.norm: Tensor = decoder.norm.weight.detach()
        self.heads = heads_of(config)
        self.eps: float = config.rms_norm_eps
        self.dropout: float = model.peft_config[ADAPTER_NAME].lora_dropout
        self.kernels = kernels or choose_kernels(self.embedding.dtype, config)
        self.share_prefix = share_prefix
        self.recompute = recompute
        self.space = Space(self.embedding.dtype)
        self._rotary_module: Any = decoder.rotary_emb
        self._rotary = Rotary(torch.empty(0, 0), torch.empty(0, 0))
        self._lowest = next(layer.number for layer in self.layers if layer.has_adapters)

    def forward_backward(self, batch: MicroBatch, *, scale: float, dropout_seed: int) -> float:
        """See `GradientComputer`."""
        return self.compute(
            rows_of(batch, share_prefix=self.share_prefix), scale=scale, dropout_seed=dropout_seed
        )

    def loss_sum(self, batch: MicroBatch) -> float:
        """The loss without a gradient and without dropout, summed over the supervised positions."""
        rows = rows_of(batch, share_prefix=self.share_prefix)
        return self.compute(rows, scale=None, dropout_seed=None)

    @torch.no_grad()
    def compute(self, rows: Rows, *, scale: float | None, dropout_seed: int | None) -> float:
        """The loss of rows laid out by hand, and with a `scale` its gradient."""
        if not len(rows.supervised):
            return 0.0
        run = self._pass(rows, weight=scale or 0.0, dropout_seed=dropout_seed)
        stream, saved = self._forward(run, keep=scale is not None)
        size = stream.base.shape
        hidden = self.space.take("hidden", *size)
        last = self.space.take("last", *size)
        rstd = self.kernels.rms_norm(
            stream.base, self.norm, eps=self.eps, out=hidden, delta=stream.delta, total=last
        )
        slope = self.space.take("of_hidden", *size) if scale is not None else None
        loss = loss_and_gradient(
            hidden, self.head, rows.targets, kernels=self.kernels, space=self.space, gradient=slope
        )
        if slope is not None and math.isfinite(loss):
            self._backward(run, saved, self._of_stream(slope, last, rstd))
        return loss

    def _pass(self, rows: Rows, *, weight: float, dropout_seed: int | None) -> Pass:
        return Pass(
            rows=rows,
            heads=self.heads,
            rotary=self._rotary_for(int(rows.positions.max()) + 1),
            eps=self.eps,
            kernels=self.kernels,
            space=self.space,
            dropout_seed=dropout_seed,
            dropout=self.dropout,
            weight=weight,
        )

    def _forward(self, run: Pass, *, keep: bool) -> tuple[Stream, list[_SavedLayer]]:
        embedded = self.space.take("embedded", len(run.rows.token_ids), self.embedding.shape[1])
        torch.index_select(self.embedding, 0, run.rows.token_ids, out=embedded)
        stream, saved = Stream(embedded, None), []
        for layer in self.layers:
            keeps_all = keep and not self.recompute and layer.number >= self._lowest
            stream, of_layer = self._layer(layer, stream, run, tag=str(layer.number) if keeps_all else "any")
            saved.append(of_layer)
        return stream, saved

    def _layer(self, layer: Layer, stream: Stream, run: Pass, *, tag: str) -> tuple[Stream, _SavedLayer]:
        kept = self._kept(layer, run)
        stream, of_attention = attention_block.forward(layer, stream, run, tag=tag, kept=kept)
        stream, of_mlp = mlp_block.forward(layer, stream, run, tag=tag, kept=kept)
        return stream, _SavedLayer(of_attention, of_mlp)

    def _kept(self, layer: Layer, run: Pass) -> Tensor | None:
        """Nothing reads the last layer's other rows: only their keys and values matter."""
        return run.rows.supervised if layer is self.layers[-1] else None

    def _of_stream(self, slope: Tensor, last: Tensor, rstd: Tensor) -> Tensor:
        """Gradient of the last layer's output, with room for the adapters' columns."""
        rows, hidden = last.shape
        wide = self.space.take("slope_kept", rows, hidden + self._extra_columns())
        self.kernels.rms_norm_backward(
            slope, last, self.norm, rstd=rstd, out=wide[:, :hidden], accumulate=False
        )
        return wide

    def _extra_columns(self) -> int:
        return max(rank for layer in self.layers for rank in (layer.output.rank, layer.down.rank))

    def _backward(self, run: Pass, saved: list[_SavedLayer], slope: Tensor) -> None:
        for layer, of_layer in zip(reversed(self.layers[self._lowest :]), reversed(saved), strict=False):
            wants_input = layer.number > self._lowest
            kept = self._kept(layer, run)
            if self.recompute:
                _, of_layer = self._layer(layer, Stream(of_layer.attention.x, None), run, tag="any")
            reaches_attention = wants_input or layer.has_attention_adapters
            mlp_block.backward(layer, of_layer.mlp, slope, run, kept=kept, wants_input=reaches_attention)
            if reaches_attention:
                slope = attention_block.backward(
                    layer, of_layer.attention, slope, run, kept=kept, wants_input=wants_input
                )

    def _rotary_for(self, positions: int) -> Rotary:
        if len(self._rotary.cosine) < positions:
            cosine, sine = self._rotary_module(torch.empty(0), torch.arange(positions).unsqueeze(0))
            half = self.heads.size // 2
            self._rotary = Rotary(cosine[0, :, :half].contiguous(), sine[0, :, :half].contiguous())
        return self._rotary


def heads_of(config: Any) -> Heads:
    """Attention's shape from a transformers configuration."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Heads(config.num_attention_heads, config.num_key_value_heads, size, scale=size**-0.5)
