"""Which backend is faster here: a short measurement, made once where `backend: auto` leaves the choice open.

The measurement runs in a process of its own, because Intel's extension replaces operators of the whole
process that imports it. It computes two layers of the model's architecture with random weights, so that it
takes neither the model's memory nor the time to read it. The answer is kept beside the prepared data.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import torch
from pydantic import ValidationError

from llmfinetune_trainer.atomic import write_atomically
from llmfinetune_trainer.config.base import Message
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.messages import Short
from llmfinetune_trainer.config.run import LoraConfig
from llmfinetune_trainer.engine import intel
from llmfinetune_trainer.engine.backend import Backend, BackendName
from llmfinetune_trainer.engine.batches import MicroBatch
from llmfinetune_trainer.engine.gradients import GeneralGradients
from llmfinetune_trainer.engine.machine import Machine
from llmfinetune_trainer.engine.proof import prove
from llmfinetune_trainer.model.lora import attach_adapters
from llmfinetune_trainer.model.reduced import SMALL_VOCABULARY, reduced_model
from llmfinetune_trainer.model.targets import model_skeleton
from llmfinetune_trainer.sources.digest import digest_json

LAYERS: Final = 2
DOCUMENTS: Final = 4
TOKENS: Final = 128
"""Of each document."""
REPEATS: Final = 3
TIMEOUT: Final = 180.0
"""Seconds; most of the time goes into importing."""

Seconds = Mapping[BackendName, float]


class Verdict(Message):
    """An answer, as it is kept on the volume."""

    name: BackendName
    reason: Short


def settled(backend: Backend, *, obstacle: str | None, path: Path, measure: Callable[[], Seconds]) -> Backend:
    """The backend with its name and the reason for it, where `auto` left both open.

    Args:
        backend: the choice so far.
        obstacle: why the fused engine does not compute the model; `None` where it does.
        path: where the answer of an earlier measurement lies, or will lie.
        measure: seconds of one micro-batch by backend.
    """
    if backend.reason:
        return backend
    if obstacle is None:
        return backend._replace(reason="the fused engine computes this model, with kernels of its own")
    if backend.device != "cpu":
        return backend._replace(reason=f"Intel's extension is for processors, the device is {backend.device}")
    if not intel.is_installed():
        return backend._replace(reason="Intel's extension is not installed")
    verdict = _kept(path) or _measured(path, measure)
    return backend._replace(name=verdict.name, reason=verdict.reason)


def verdict_path(layout: Layout, backend: Backend, *, model_path: Path, machine: Machine) -> Path:
    """Where the answer for this model, precision and processor lies."""
    what = {
        "model": model_path.name,
        "precision": backend.precision,
        "processor": [machine.processor, machine.isa, torch.get_num_threads()],
        "torch": torch.__version__,
    }
    return layout.prepared / "backends" / f"{digest_json(what)}.json"


def measure_apart(model_path: Path, *, precision: str) -> Seconds:
    """Measures in a new process.

    Raises:
        subprocess.SubprocessError: it failed, or took too long.
    """
    command = [sys.executable, "-W", "ignore", "-m", __name__, str(model_path), precision]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    seconds: Seconds = json.loads(done.stdout.splitlines()[-1])
    return seconds


def measure(model_path: Path, *, dtype: torch.dtype, clock: Callable[[], float]) -> Seconds:
    """Seconds of one micro-batch with plain torch and with Intel's extension, which stays in this process."""
    skeleton = model_skeleton(model_path)
    proof = prove(skeleton)
    base = reduced_model(skeleton.config, layers=LAYERS, dtype=dtype, attention=proof.attention)
    model, adapters = attach_adapters(base, LoraConfig(target_modules=["all-linear"]), seed=0)
    computer = GeneralGradients(model, adapters, proof=proof)
    length = min(TOKENS, getattr(base.config, "max_position_embeddings", TOKENS))
    batch = _batch(length, documents=DOCUMENTS if proof.packs else 1)
    plain = _fastest(computer, batch, clock)
    intel.prepack_frozen_layers(model, dtype=dtype)
    return {"torch": plain, "ipex": _fastest(computer, batch, clock)}


def _kept(path: Path) -> Verdict | None:
    try:
        return Verdict.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return None


def _measured(path: Path, measure: Callable[[], Seconds]) -> Verdict:
    try:
        verdict = _verdict(measure())
    except (subprocess.SubprocessError, ValueError) as error:
        verdict = Verdict(name="torch", reason=f"the measurement failed: {type(error).__name__}")
    write_atomically(path, verdict.model_dump_json(indent=2))
    return verdict


def _verdict(seconds: Seconds) -> Verdict:
    figures = ", ".join(f"{name} {value:.3f} s" for name, value in sorted(seconds.items()))
    name = min(seconds, key=lambda each: seconds[each])
    return Verdict(name=name, reason=f"measured: {figures} for one micro-batch of {LAYERS} layers")


def _batch(length: int, *, documents: int) -> MicroBatch:
    total = documents * length
    ids = torch.arange(total) % SMALL_VOCABULARY
    rows = torch.arange(0, total - 1, 2)
    return MicroBatch(
        samples=tuple(range(documents)),
        input_ids=ids.unsqueeze(0),
        position_ids=torch.arange(length).repeat(documents).unsqueeze(0),
        document_groups=((documents, length),),
        rows=rows,
        targets=ids[rows + 1],
    )


def _fastest(computer: GeneralGradients, batch: MicroBatch, clock: Callable[[], float]) -> float:
    """Of several passes after the first, which warms up."""
    times = []
    for _ in range(REPEATS + 1):
        started = clock()
        computer.forward_backward(batch, scale=1.0, dropout_seed=0)
        times.append(clock() - started)
    return min(times[1:])


if __name__ == "__main__":
    types = {"bf16": torch.bfloat16, "fp32": torch.float32}
    found = measure(Path(sys.argv[1]), dtype=types[sys.argv[2]], clock=time.monotonic)
    print(json.dumps(found))  # noqa: T201 - this is the output
