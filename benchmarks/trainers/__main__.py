"""`python -m benchmarks.trainers`: ours and the peers in turn; writes build/bench/result.{json,png}.

With `--shape` or `--vocabulary` the model has random weights of that shape; the files are called after it.
"""

import argparse
import dataclasses
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.models import SHAPES, shape_name, shaped_model
from benchmarks.result import ROOT, write_result
from benchmarks.trainers import report
from benchmarks.trainers.comparison import compare
from benchmarks.trainers.contestants import QUICK, chosen_peers
from benchmarks.trainers.setup import find_data, make_setup
from benchmarks.trainers.workload import ADAPTERS, Workload

FEW_HELD_OUT = 8
"""Samples on which the loss is measured where it takes long or, with random weights, says little."""
QUICK_WORKLOAD = {"steps": 2, "batch_size": 16, "held_out": FEW_HELD_OUT}


def main() -> None:
    """Runs the comparison for every chosen configuration, prints the tables, and writes result and plot."""
    options = _options()
    adapters = options.adapters.split(",")
    result: dict[str, Any] = {"machine": machine()}
    for adapter in adapters:
        workload = _workload(adapter, options)
        section = _compared(workload, options, into=result, is_first=adapter == adapters[0])
        print(f"\nadapters on {', '.join(workload.targets)}\n{report.table(section)}", flush=True)
    print(f"\nresult: {_file('json', options)}, plot: {_file('png', options)}")


def _workload(adapter: str, options: argparse.Namespace) -> Workload:
    length = {"steps": options.steps, "batch_size": options.batch_size}
    work = Workload(adapter=adapter, **(QUICK_WORKLOAD if options.quick else length))
    name = shape_name(options.shape, options.vocabulary)
    return dataclasses.replace(work, model=name, held_out=FEW_HELD_OUT) if name else work


def _compared(
    workload: Workload, options: argparse.Namespace, *, into: dict[str, Any], is_first: bool
) -> dict[str, Any]:
    """Compares one configuration; the first lies at the top of the result, others below their name."""
    names = options.peers.split(",") if options.peers else list(QUICK) if options.quick else None
    shape = shape_name(options.shape, options.vocabulary)
    root = ROOT / "-".join(filter(None, (workload.adapter, shape)))
    model = shaped_model(shape=options.shape, vocabulary=options.vocabulary) if shape else None
    setup = make_setup(workload, data=find_data(options.data), root=root, model=model)

    def write(section: dict[str, Any]) -> None:
        into.update(section if is_first else {workload.adapter: section})
        write_result(into, _file("json", options))

    once = options.once.split(",")
    peers = [peer._replace(rounds=1 if peer.name in once else None) for peer in chosen_peers(names)]
    section = compare(setup, peers, rounds=options.rounds, root=root, on_progress=write)
    write(section)
    report.plot(section, _file("png", options, *([] if is_first else [workload.adapter])))
    return section


def _file(ending: str, options: argparse.Namespace, *more: str) -> Path:
    names = filter(None, ("result", shape_name(options.shape, options.vocabulary), *more))
    return ROOT / f"{'-'.join(names)}.{ending}"


def machine() -> dict[str, Any]:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two peers, one short round, under five minutes")
    parser.add_argument("--rounds", type=int, help="alternations (default: 3, quick: 1)")
    usual = Workload()
    parser.add_argument(
        "--steps", type=int, default=usual.steps, help="optimizer steps a run, the first not counted"
    )
    parser.add_argument(
        "--batch-size", type=int, default=usual.batch_size, help="samples in an optimizer step"
    )
    parser.add_argument("--peers", help="names, separated by commas (default: all)")
    parser.add_argument("--once", default="", help="names of those that take part in the first round only")
    parser.add_argument(
        "--adapters", help=f"configurations of {', '.join(ADAPTERS)} (default: all, quick: qv)"
    )
    parser.add_argument("--shape", choices=tuple(SHAPES), help="random weights of this shape instead")
    parser.add_argument("--vocabulary", type=int, help="random weights with so many tokens")
    parser.add_argument(
        "--data", type=Path, help="alpaca rows as JSON (default: LLMFINETUNE_DATA, ../shared/data)"
    )
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.adapters = options.adapters or ("qv" if options.quick else ",".join(ADAPTERS))
    return options


if __name__ == "__main__":
    main()
