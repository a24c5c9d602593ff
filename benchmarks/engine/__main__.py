"""Speed of the engine's fast path alone, as a share of the matrix-product peak measured in between.

    python -m benchmarks.engine MODEL DATA [--targets q_proj v_proj] [--no-prefix] [--parts] [--shape 1b]

Prints useful tokens per second, the share of the peak, and with --parts where the time goes. With one thread
the clock is the processor's, so that a busy machine can be measured too.
"""

import argparse
import json
import resource
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.clock import matrix_peak, seconds
from benchmarks.engine.batches import load_samples, micro_batches
from benchmarks.engine.models import make_model
from benchmarks.engine.parts import Parts
from benchmarks.models import SHAPES
from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.fused import FusedGradients
from llmfinetune_trainer.engine.fused.flops import work_of_batch
from llmfinetune_trainer.model.lora import attach_adapters

REPEATS = 6
"""Matrix products between two micro-batches."""


class Measured(NamedTuple):
    """One micro-batch."""

    tokens: int
    seconds: float
    share: float


def engine_of(base: Any, arguments: argparse.Namespace) -> tuple[FusedGradients, int]:
    """The engine, and the number of its adapters' weights."""
    lora = LoraConfig(rank=arguments.rank, dropout=arguments.dropout, target_modules=arguments.targets)
    model, adapters = attach_adapters(base, lora, seed=0)
    engine = FusedGradients(
        model, adapters, share_prefix=not arguments.no_prefix, recompute=arguments.recompute
    )
    return engine, adapters.master.numel()


def measure(
    engine: FusedGradients, batches: Sequence[MicroBatch], *, adapter_weights: int, config: Any
) -> list[Measured]:
    """Alternates the peak and micro-batches; the share of each is against the mean of the peaks around it."""
    results, peak = [], matrix_peak(repeats=REPEATS)
    for batch in batches:
        took = seconds(partial(engine.forward_backward, batch, scale=1e-3, dropout_seed=1))
        before, peak = peak, matrix_peak(repeats=REPEATS)
        work = work_of_batch(batch, config=config, adapter_weights=adapter_weights).total
        results.append(Measured(batch.input_ids.numel(), took, share=work / took / ((before + peak) / 2)))
    return results


def figures_of(results: Sequence[Measured]) -> dict[str, Any]:
    """Over all micro-batches, the spread of single ones, and the process's largest resident set."""
    took = sum(result.seconds for result in results)
    shares = [result.share for result in results]
    return {
        "tokens_per_second": sum(result.tokens for result in results) / took,
        "peak_share": sum(result.share * result.seconds for result in results) / took,
        "peak_share_min": min(shares),
        "peak_share_max": max(shares),
        "micro_batches": len(results),
        "resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def line(figures: dict[str, Any]) -> str:
    """The figures in one line."""
    return (
        f"{figures['tokens_per_second']:.0f} tokens/s, {figures['peak_share']:.3f} of the peak "
        f"({figures['peak_share_min']:.3f} to {figures['peak_share_max']:.3f} over "
        f"{figures['micro_batches']} micro-batches), {figures['resident_bytes'] / 2**30:.2f} GiB resident"
    )


def main() -> None:
    """Runs the benchmark."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    base = make_model(
        arguments.model,
        shape=arguments.shape,
        vocabulary=arguments.vocabulary,
        quantization=arguments.quantization,
    )
    engine, adapter_weights = engine_of(base, arguments)
    samples = load_samples(arguments.data, arguments.tokenizer or arguments.model, rows=arguments.rows)
    batches = micro_batches(samples, tokens=arguments.tokens)
    engine.forward_backward(batches[0], scale=1e-3, dropout_seed=1)
    parts = Parts(engine) if arguments.parts else None
    results = measure(engine, batches, adapter_weights=adapter_weights, config=base.config)
    figures = figures_of(results) | {"kernels": engine.kernels.name}
    print(f"{engine.kernels.name} kernels: {line(figures)}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures), encoding="utf-8")
    if parts is not None:
        print(parts.table(sum(result.seconds for result in results)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "model", type=Path, help="directory with config.json; without weights they are random"
    )
    parser.add_argument("data", type=Path, help="rows in Alpaca's columns")
    parser.add_argument("--shape", choices=tuple(SHAPES), help="random weights of this shape instead")
    parser.add_argument("--vocabulary", type=int, help="random weights with so many tokens")
    parser.add_argument("--quantization", choices=("int8", "nf4"), help="how the frozen layers are kept")
    parser.add_argument("--tokenizer", type=Path, help="directory of the tokenizer, if not the model's")
    parser.add_argument(
        "--targets", nargs="+", default=["q_proj", "v_proj"], help="adapted layers, or all-linear"
    )
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--tokens", type=int, default=2048, help="tokens of a micro-batch")
    parser.add_argument("--rows", type=int, default=64, help="rows of data, one optimizer step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-prefix", action="store_true", help="compute every token")
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--parts", action="store_true", help="say where the time goes")
    parser.add_argument("--json", type=Path, help="file that the figures are written to as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
