"""Loss curves: ours and Hugging Face Trainer's on the same samples in the same order from the same adapter.

`python -m benchmarks.trainers.curves [--steps 100]` prints the largest relative difference of a step's loss,
and writes the plot and the losses to `docs/`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.trainers.contestants import chosen_peers
from benchmarks.trainers.figures import max_relative_difference
from benchmarks.trainers.running import Finished, run_ours, run_peer
from benchmarks.trainers.setup import find_data, make_setup
from benchmarks.trainers.workload import ADAPTERS, Workload

ROOT = Path("build/bench/curves")
DOCS = Path("docs")
PEER = "huggingface-padded-bf16"


def main() -> None:
    """Trains both, compares, plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=4, help="samples in an optimizer step")
    parser.add_argument("--adapter", choices=tuple(ADAPTERS), default="qv")
    parser.add_argument("--data", type=Path, help="alpaca rows as JSON")
    options = parser.parse_args()
    workload = Workload(adapter=options.adapter, steps=options.steps, batch_size=options.batch_size)
    setup = make_setup(workload, data=find_data(options.data), root=ROOT)
    peer = chosen_peers([PEER])[0]
    peer = peer._replace(
        options=peer.options | {"micro_batch": min(peer.options["micro_batch"], options.batch_size)}
    )
    print(f"ours: {options.steps} steps of {options.batch_size} samples", flush=True)
    ours = losses(run_ours(setup, _directory("ours")))
    print(f"{PEER}: the same", flush=True)
    theirs = losses(run_peer(peer, setup, _directory(PEER)))
    worst = max_relative_difference(ours, theirs)
    print(f"largest relative difference of a step's loss over {len(ours)} steps: {worst:.3%}")
    (DOCS / "loss-curves.json").write_text(
        json.dumps({"ours": ours, PEER: theirs, "max_relative_difference": worst})
    )
    _plot(ours, theirs, worst)


def losses(finished: Finished) -> list[float]:
    """Mean training loss of each optimizer step."""
    return [step["loss"] for step in finished.report["steps"]]


def _directory(name: str) -> Path:
    directory = ROOT / "runs" / name
    directory.mkdir(parents=True, exist_ok=True)
    for left in ("adapter", "report.json"):
        _remove(directory / left)
    return directory


def _remove(path: Path) -> None:
    import shutil

    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _plot(ours: Sequence[float], theirs: Sequence[float], worst: float) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps = range(1, len(ours) + 1)
    figure, (curve, difference) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 5), height_ratios=(3, 1))
    curve.plot(
        steps, theirs, color="#6b7b8c", linewidth=3, alpha=0.6, label="Hugging Face Trainer, peft, bf16 base"
    )
    curve.plot(steps, ours, color="#1b7f4d", linewidth=1.2, label="llmfinetune")
    curve.set_ylabel("training loss of the step")
    curve.legend(frameon=False)
    relative = [100 * (mine - other) / other for mine, other in zip(ours, theirs, strict=True)]
    difference.plot(steps, relative, color="#1b7f4d", linewidth=1)
    difference.axhline(0, color="#333333", linewidth=0.6)
    difference.set_ylabel("difference, %")
    difference.set_xlabel("optimizer step")
    figure.suptitle(f"Same samples, same order, same start: largest difference {worst:.2%}", fontsize=10)
    figure.tight_layout()
    figure.savefig(DOCS / "loss-curves.png", dpi=130)


if __name__ == "__main__":
    main()
