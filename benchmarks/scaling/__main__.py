"""`python -m benchmarks.scaling`: the engine on 1, 2 and 4 processes with equally many cores each.

The global batch stays the same. Prints a table, and writes the key `scaling` of build/bench/result.json.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.result import ROOT, record
from benchmarks.scaling.figures import Job, Steps, StepTimes, group_figures, middle_of
from benchmarks.trainers.setup import find_data, make_setup
from benchmarks.trainers.workload import Workload

COUNTS = (1, 2, 4)
TIMEOUT_SECONDS = 900


def main() -> None:
    """Measures one number of processes after the other."""
    options = _options()
    output = (ROOT / "scaling").absolute()
    output.mkdir(parents=True, exist_ok=True)
    data = find_data(options.data)
    setup = make_setup(Workload(), data=data, root=ROOT / "qv")
    cores = sorted(os.sched_getaffinity(0))
    job = Job(
        model=str(setup.model),
        data=str(data),
        output=str(output),
        cores=cores,
        threads=options.threads or max(1, len(cores) // COUNTS[-1]),
        batch_size=options.batch_size,
        steps=options.steps,
        targets=list(setup.workload.targets),
    )
    (output / "job.json").write_text(json.dumps(asdict(job)), encoding="utf-8")
    rounds = [[measured(job, count) for count in options.processes] for _ in range(options.rounds)]
    figures = {"threads_per_process": job.threads, "rounds": options.rounds, "groups": middle_of(rounds)}
    record("scaling", figures)
    print(table(figures))


def measured(job: Job, count: int) -> dict[str, Any]:
    """Figures of so many ranks, and of as many processes of their own."""
    together = run(job, count, world_size=count)
    apart = run(job, count, world_size=1) if count > 1 else together
    return group_figures(together, apart, shares_cores=job.shares_cores(count))


def run(job: Job, count: int, *, world_size: int) -> list[Steps]:
    """Runs so many ranks at once, as one world or each in a world of its own; their steps in order.

    Raises:
        RuntimeError: a rank failed; the message is the end of its log.
    """
    output, port = Path(job.output), _free_port()
    places = [output / f"{count}-of-{world_size}-{number}.json" for number in range(count)]
    environment = _environment(world_size, port=port, threads=job.threads)
    ranks = [
        _started(output / "job.json", place, environment | {"RANK": str(number)})
        for number, place in enumerate(places)
    ]
    try:
        codes = [rank.wait(TIMEOUT_SECONDS) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    if any(codes):
        log = next(place for place, code in zip(places, codes, strict=True) if code).with_suffix(".log")
        raise RuntimeError(f"{log}: {log.read_text(encoding='utf-8')[-600:]}")
    return [_steps(place) for place in places]


def _environment(world_size: int, *, port: int, threads: int) -> dict[str, str]:
    return os.environ | {
        "WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(["trainer", "."]),
        "PYTHONWARNINGS": "ignore",
    }


def _started(job: Path, output: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.scaling.worker", str(job), str(output)]
    with output.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _steps(path: Path) -> Steps:
    return [StepTimes(**step) for step in json.loads(path.read_text(encoding="utf-8"))]


def table(figures: dict[str, Any]) -> str:
    """The figures as text."""
    lines = [
        f"{figures['threads_per_process']} core(s) a process",
        "processes  tokens/s  ideal     step  communication  waiting  computing, of the ideal  all, of it",
    ]
    for group in figures["groups"]:
        shared = "  (processes take turns on cores)" if group["shares_cores"] else ""
        lines.append(
            f"{group['processes']:>9}  {group['tokens_per_second']:>8.0f}  "
            f"{group['ideal_tokens_per_second']:>5.0f}  "
            f"{group['step_seconds']:>5.1f} s  {group['communication_share']:>13.2%}  "
            f"{group['wait_share']:>7.2%}  {group['compute_efficiency']:>23.1%}  "
            f"{group['efficiency']:>10.1%}{shared}"
        )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2, help="optimizer steps for each number of processes")
    parser.add_argument("--rounds", type=int, default=3, help="how often all are measured; the median counts")
    parser.add_argument("--processes", type=int, nargs="+", default=COUNTS, help="numbers of processes")
    parser.add_argument("--batch-size", type=int, default=64, help="samples in an optimizer step")
    parser.add_argument("--threads", type=int, help="cores of a process (default: what 4 of them can have)")
    parser.add_argument("--data", type=Path, help="alpaca rows as JSON (default: LLMFINETUNE_DATA)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
