"""Holds estimates against what runs really take.

Run as: python -m benchmarks.estimate [--data FILE] [--only TEXT]

For each case it prepares, calls `llmfinetune estimate`, and at once `llmfinetune train` for some steps.
Memory is the kernel's peak of the training process, time the median step without the first. Writes
build/bench/estimate.json and a table to the terminal.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from benchmarks.estimate.cases import CASES, Case, manifest_of, model_of
from benchmarks.trainers.process import run_process
from benchmarks.trainers.setup import CLI, find_data

ROOT = Path("build/bench/estimate")
RESULT = Path("build/bench/estimate.json")
PREPARE = """
import sys
from pathlib import Path
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.manifest import load_manifest
from llmfinetune_trainer.prepare import prepare
prepare(load_manifest(Path(sys.argv[1])), Layout(Path(sys.argv[2])), token=None, progress=print)
"""
"""In a process of its own: what it leaves in memory is not training's. `llmfinetune prepare` would estimate
too."""


def main() -> None:
    """Runs all cases."""
    options = _parser().parse_args()
    data = find_data(options.data)
    results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    for name, case in CASES.items():
        if options.only in name:
            results[name] = measure(name, case, data=data, steps=options.steps, threads=options.threads)
            RESULT.write_text(json.dumps(results, indent=1), encoding="utf-8")
            print(row(name, results[name]), flush=True)
    print("\n".join(["", *table(results)]))


def measure(name: str, case: Case, *, data: Path, steps: int, threads: int) -> dict[str, Any]:
    """Estimates one case and runs it."""
    directory = ROOT / "".join(letter if letter.isalnum() else "-" for letter in name)
    manifest, workspace = directory / "finetune.yaml", directory / "workspace"
    model = model_of(case, name, ROOT / "models")
    directory.mkdir(parents=True, exist_ok=True)
    values = manifest_of(case, model=model, data=data, steps=steps)
    manifest.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    for old in ("checkpoints", "output", "logs"):
        shutil.rmtree(workspace / old, ignore_errors=True)
    where: list[str | Path] = [manifest, "--workspace", workspace]
    run_process(
        [sys.executable, "-c", PREPARE, manifest, workspace], log=directory / "prepare.log", threads=threads
    )
    log = directory / "estimate.log"
    run_process([CLI, "estimate", *where, "--json"], log=log, threads=threads)
    estimate = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    ended = run_process([CLI, "train", *where], log=directory / "train.log", threads=threads)
    return compared(estimate, peak=ended.peak_rss_bytes, steps=_steps(workspace))


def compared(estimate: dict[str, Any], *, peak: int, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Foretold beside measured, and their ratio."""
    memory = sum(part["bytes"] for part in estimate["memory"])
    tokens = sum(step["tokens"] for step in steps[1:])
    seconds = median(step["seconds"] / step["tokens"] for step in steps[1:])
    foretold = estimate["secondsPerStep"] / estimate["tokensPerStep"]
    return {
        "engine": estimate["engine"],
        "memory_bytes": {"estimated": memory, "measured": peak, "ratio": memory / peak},
        "seconds_per_step": {
            "estimated": estimate["secondsPerStep"],
            "measured": seconds * tokens / len(steps[1:]),
            "ratio": foretold / seconds,
        },
        "parts": {part["name"]: part["bytes"] for part in estimate["memory"]},
        "micro_batch_tokens": estimate["microBatchTokens"],
    }


def table(results: dict[str, Any]) -> list[str]:
    """The results as Markdown."""
    head = (
        "| model and adapters | memory: estimated | measured | ratio | s/step: estimated | measured | ratio |"
    )
    return [head, "|---|---|---|---|---|---|---|", *(row(name, result) for name, result in results.items())]


def row(name: str, result: dict[str, Any]) -> str:
    """One line of the table."""
    memory, seconds = result["memory_bytes"], result["seconds_per_step"]
    return (
        f"| {name} | {memory['estimated'] / 2**30:.2f} Gi | {memory['measured'] / 2**30:.2f} Gi "
        f"| {memory['ratio']:.2f} | {seconds['estimated']:.1f} | {seconds['measured']:.1f} "
        f"| {seconds['ratio']:.2f} |"
    )


def _steps(workspace: Path) -> list[dict[str, Any]]:
    lines = (workspace / "logs" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if "seconds" in record]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="alpaca rows; else LLMFINETUNE_DATA, else ../shared/data")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument(
        "--steps", type=int, default=4, help="optimizer steps, at least 2 (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=2, help="processors (default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
