"""How long training pauses for a checkpoint written in the background: `python -m benchmarks.checkpoint`.

The pause is the copy of the state in memory, and depends on the size of the adapters alone. Prints a row for
each size.
"""

import argparse
import datetime as dt
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch.nn import Parameter

from llmfinetune_trainer.checkpoint.store import CheckpointStore
from llmfinetune_trainer.checkpoint.writer import CheckpointWriter
from llmfinetune_trainer.config.messages import CheckpointFacts
from llmfinetune_trainer.engine.optimizer import FlatAdamW
from llmfinetune_trainer.engine.state import TrainingState
from llmfinetune_trainer.model.lora import Adapters

SMOLLM2_LAYERS: Final = 30
QUERY_VALUE: Final = {"q_proj": (576, 576), "v_proj": (576, 192)}
ALL_LINEAR: Final = {
    **QUERY_VALUE,
    "k_proj": (576, 192),
    "o_proj": (576, 576),
    "gate_proj": (576, 1536),
    "up_proj": (576, 1536),
    "down_proj": (1536, 576),
}
STEP_SECONDS: Final = 15.0
"""A step of 64 samples of the medical data on two cores."""


class Figures(NamedTuple):
    """One size of adapters."""

    megabytes: float
    pauses: list[float]
    """Seconds that training waited for each checkpoint."""
    copies: list[float]
    """Processor seconds of the waiting thread in each: the pause where no other program wants the core."""


def main() -> None:
    """Measures SmolLM2-135M with small and with large adapters."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    for what, layers, rank in (("q,v r=8", QUERY_VALUE, 8), ("all linear r=16", ALL_LINEAR, 16)):
        found = measure(state_of(layers, rank=rank), num_saves=options.saves)
        pause, copy = statistics.median(found.pauses), statistics.median(found.copies)
        print(
            f"{what}: {found.megabytes:.1f} MB, pause {1000 * pause:.2f} ms = "
            f"{100 * pause / options.step_seconds:.3f} % of a step of {options.step_seconds:g} s; "
            f"processor time of it {1000 * copy:.2f} ms = {100 * copy / options.step_seconds:.3f} %"
        )


def state_of(layers: dict[str, tuple[int, int]], *, rank: int) -> TrainingState:
    """The state of a run with such adapters; `layers` maps a name to its inputs and outputs."""
    parameters = {
        f"layers.{number}.{name}.{matrix}": Parameter(torch.zeros(shape, dtype=torch.bfloat16))
        for number in range(SMOLLM2_LAYERS)
        for name, (inputs, outputs) in layers.items()
        for matrix, shape in (("lora_A.weight", (rank, inputs)), ("lora_B.weight", (outputs, rank)))
    }
    adapters = Adapters(parameters)
    return TrainingState(adapters, FlatAdamW(adapters.master, weight_decay=0.0), config_digest="")


def measure(state: TrainingState, *, num_saves: int) -> Figures:
    """Saves several times, each when the write before has ended."""
    pauses: list[float] = []
    copies: list[float] = []
    saved: list[CheckpointFacts] = []
    with tempfile.TemporaryDirectory() as directory:
        store = CheckpointStore(Path(directory), keep=2)
        writer = CheckpointWriter(store, clock=lambda: dt.datetime.now(dt.UTC), on_saved=saved.append)
        for step in range(num_saves):
            state.step = step
            started, computed = time.perf_counter(), time.thread_time()
            writer.save_soon(state.checkpoint)
            pauses.append(time.perf_counter() - started)
            copies.append(time.thread_time() - computed)
            while len(saved) <= step:
                time.sleep(0.005)
        writer.close()
    return Figures(megabytes=saved[0].size_bytes / 1e6, pauses=pauses, copies=copies)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The pause that a checkpoint costs training.")
    parser.add_argument("--saves", type=int, default=20, help="checkpoints of each size (default: 20)")
    parser.add_argument("--threads", type=int, default=2, help="compute threads (default: 2)")
    parser.add_argument(
        "--step-seconds", type=float, default=STEP_SECONDS, help="length of a step (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    main()
