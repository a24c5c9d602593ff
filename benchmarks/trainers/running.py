"""One run of one contestant, ours or a peer: its process between two measurements of the machine's speed."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.clock import matrix_peak
from benchmarks.trainers.contestants import Contestant
from benchmarks.trainers.environments import ensure_environment
from benchmarks.trainers.figures import run_figures
from benchmarks.trainers.flops import adapter_weights, training_flops
from benchmarks.trainers.process import ContestantError, Ended, LineWatcher, run_process
from benchmarks.trainers.samples import Samples
from benchmarks.trainers.setup import CLI, Setup, model_config
from benchmarks.trainers.workload import Job

OURS = "ours"


class Finished(NamedTuple):
    """A run that ended well."""

    ended: Ended
    report: dict[str, Any]
    """`steps`, `version`, and what else the contestant says."""
    adapter: Path | None
    """The trained adapter in peft's form, where the contestant writes one."""


def run_contestant(contestant: Contestant | None, setup: Setup, *, output: Path) -> dict[str, Any]:
    """Runs a peer, or ours where it is None, and returns its figures, or `{"error": …}`."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    try:
        before = matrix_peak(threads=setup.workload.threads)
        finished = run_ours(setup, output) if contestant is None else run_peer(contestant, setup, output)
        after = matrix_peak(threads=setup.workload.threads)
        figures = run_figures(
            finished.report,
            started_at=finished.ended.started_at,
            peak_rss_bytes=finished.ended.peak_rss_bytes,
            gemm=(before, after),
            flops_per_token=flops_per_token(setup),
            warmup_steps=setup.workload.warmup_steps,
        )
    except (ContestantError, ValueError, KeyError, OSError, subprocess.CalledProcessError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    facts = {
        key: finished.report[key]
        for key in ("version", "mixes_documents", "engine")
        if key in finished.report
    }
    return figures | facts | {"adapter": None if finished.adapter is None else str(finished.adapter)}


def flops_per_token(setup: Setup) -> float:
    """Least operations of one useful token of this workload, from its real lengths and supervised rows."""
    samples, config, work = Samples.load(setup.samples), model_config(setup), setup.workload
    total = training_flops(
        config,
        weights=adapter_weights(config, rank=work.rank, targets=work.targets),
        lengths=samples.lengths.tolist(),
        supervised=samples.supervised.tolist(),
    )
    return total / len(samples.tokens)


def run_peer(contestant: Contestant, setup: Setup, output: Path) -> Finished:
    """Runs a peer in its own environment.

    Raises:
        ContestantError: its process failed.
        subprocess.CalledProcessError: its environment could not be made.
    """
    python = ensure_environment(contestant.environment)
    job = output / "job.json"
    Job(
        model=str(setup.model),
        samples=str(setup.samples),
        initial_adapter=str(setup.initial_adapter),
        output=str(output),
        workload=setup.workload,
        options=contestant.options,
    ).save(job)
    command: list[str | Path] = [python, "-m", f"benchmarks.trainers.peers.{contestant.module}", job]
    ended = run_process(
        command,
        log=output / "log.txt",
        threads=setup.workload.threads,
        variables=contestant.options.get("variables"),
    )
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    adapter = output / "adapter"
    return Finished(
        ended, {"mixes_documents": contestant.mixes_documents} | report, adapter if adapter.exists() else None
    )


def run_ours(setup: Setup, output: Path) -> Finished:
    """Runs `llmfinetune train` as a user calls it, on data that is prepared.

    Raises:
        ContestantError: it failed.
    """
    for name in ("checkpoints", "output", "logs"):
        shutil.rmtree(setup.workspace / name, ignore_errors=True)
    command: list[str | Path] = [CLI, "train", setup.manifest, "--workspace", setup.workspace, "--offline"]
    with LineWatcher(setup.workspace / "logs" / "metrics.jsonl") as watcher:
        ended = run_process(command, log=output / "log.txt", threads=setup.workload.threads)
    steps = [line for line in watcher.lines if "tokens" in line]
    adapter = output / "adapter"
    shutil.copytree(setup.workspace / "output" / "adapter", adapter)
    return Finished(ended, {"steps": steps, "mixes_documents": False, **_our_facts(setup)}, adapter)


def _our_facts(setup: Setup) -> dict[str, str]:
    lineage = setup.workspace / "output" / "adapter" / "lineage.json"
    engine = json.loads(lineage.read_text(encoding="utf-8"))["runtime"]["engine"]
    names = ("llmfinetune", "torch", "transformers", "peft")
    version = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return {"version": f"{version} ({engine} engine)", "engine": engine}


def held_out_loss(adapter: Path, setup: Setup) -> float:
    """Held-out loss of a finished adapter, in a process of its own.

    Raises:
        subprocess.CalledProcessError: plain peft cannot load the adapter.
    """
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.trainers.evaluate"]
    finished = subprocess.run(
        [*command, setup.model, adapter, setup.held_out], check=True, capture_output=True, text=True
    )
    return float(finished.stdout.split()[-1])
