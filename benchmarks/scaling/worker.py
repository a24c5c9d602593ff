"""One rank: `python -m benchmarks.scaling.worker <job.json> <report.json>`, with torchrun's variables.

It takes its share of every step as a training run does, but for the optimizer, and writes how long it
computed, waited for the slowest rank, and summed gradients.
"""

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.engine.batches import MemorySamples, load_samples
from benchmarks.engine.models import make_model
from benchmarks.scaling.figures import Job, StepTimes
from llmfinetune_trainer.config.run import LoraConfig, TrainingConfig
from llmfinetune_trainer.engine.batches import micro_batch, plan_step
from llmfinetune_trainer.engine.distributed import Ranks, joined
from llmfinetune_trainer.engine.fused import FusedGradients
from llmfinetune_trainer.model.lora import Adapters, attach_adapters


def main() -> None:
    """Measures the job's steps."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    os.sched_setaffinity(0, job.cores_of(int(os.environ["RANK"])))
    torch.set_num_threads(job.threads)
    base = make_model(Path(job.model))
    model, adapters = attach_adapters(base, LoraConfig(target_modules=list(job.targets)), seed=0)
    engine = FusedGradients(model, adapters)
    samples = load_samples(Path(job.data), Path(job.model), rows=job.batch_size * job.steps)
    with joined("gloo") as ranks:
        step(engine, adapters, samples, ranks, job, number=0, most_packs=1)
        times = [step(engine, adapters, samples, ranks, job, number=number) for number in range(job.steps)]
    Path(sys.argv[2]).write_text(json.dumps([asdict(each) for each in times]), encoding="utf-8")


def step(
    engine: FusedGradients,
    adapters: Adapters,
    samples: MemorySamples,
    ranks: Ranks,
    job: Job,
    *,
    number: int,
    most_packs: int | None = None,
) -> StepTimes:
    """This rank's share of one step. The barrier tells waiting from summing; a training run has none."""
    training = TrainingConfig(batch_size=job.batch_size, max_steps=job.steps)
    place = {"rank": ranks.rank, "world_size": ranks.world_size}
    ranks.barrier()
    started = time.perf_counter()
    plan = plan_step(samples, training, cursor=number * job.batch_size, **place)
    adapters.bucket.zero_()
    for indices in plan.packs[:most_packs]:
        batch = micro_batch(samples, indices)
        engine.forward_backward(batch, scale=1.0 / plan.num_supervised, dropout_seed=0)
    computed = time.perf_counter()
    ranks.barrier()
    met = time.perf_counter()
    ranks.sum(adapters.bucket)
    summed = time.perf_counter()
    return StepTimes(plan.num_tokens, computed - started, met - computed, summed - met)


if __name__ == "__main__":
    main()
