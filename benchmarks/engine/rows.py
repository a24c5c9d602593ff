"""`python -m benchmarks.engine.rows [--only TEXT]`: the engine on its own, a process for each row of a table.

The rows are what one run of `benchmarks.engine` can vary: whether a shared prefix is computed once, the
adapted layers, how the frozen base is kept, dropout, recomputation, and other shapes, whose random weights
are written once below build/bench. Prints the table, and writes the key `engine` of build/bench/result.json;
rows that do not run stay as they were.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.models import shaped_model
from benchmarks.result import ROOT, record, recorded
from benchmarks.trainers.setup import find_data

ALL_LINEAR = ("--targets", "all-linear")
EVERY_TOKEN = ("--no-prefix",)
INT8, NF4 = ("--quantization", "int8"), ("--quantization", "nf4")
ONE_STEP_OF_1B = ("--rows", "26")


class Row(NamedTuple):
    """One run of `benchmarks.engine`, with adapters on q and v where it does not say otherwise."""

    arguments: Sequence[str] = ()
    shape: str | None = None
    """A key of `SHAPES`; SmolLM2 where none is named."""
    vocabulary: int | None = None


ROWS: Mapping[str, Row] = {
    "q, v": Row(),
    "q, v, every token computed": Row(EVERY_TOKEN),
    "all linear": Row(ALL_LINEAR),
    "all linear, every token computed": Row((*ALL_LINEAR, *EVERY_TOKEN)),
    "q, v, dropout 0.1": Row(("--dropout", "0.1")),
    "q, v, activations computed again": Row(("--recompute",)),
    "q, v, base in int8": Row(INT8),
    "q, v, base in nf4": Row(NF4),
    "q, v, vocabulary 131072": Row(vocabulary=131072),
    "q, v, 1B shape": Row(ONE_STEP_OF_1B, shape="1b"),
    "q, v, 1B shape, base in int8": Row((*ONE_STEP_OF_1B, *INT8), shape="1b"),
    "q, v, 1B shape, base in nf4": Row((*ONE_STEP_OF_1B, *NF4), shape="1b"),
}
HEAD = ("row", "tokens/s", "of peak", "resident")


def main() -> None:
    """Runs the chosen rows one after the other, recording after each."""
    options = _options()
    data = find_data(options.data)
    done = recorded("engine")
    for name, row in ROWS.items():
        if options.only in name:
            model = shaped_model(shape=row.shape, vocabulary=row.vocabulary)
            print(name, end=": ", flush=True)
            done[name] = measured(model, data, row.arguments)
            record("engine", done)
    print(table(done))


def measured(model: Path, data: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """Figures of one row.

    Raises:
        subprocess.CalledProcessError: the engine failed; its output went to the terminal.
    """
    figures = ROOT / "engine.json"
    places = [str(model), str(data), "--json", str(figures)]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.engine", *places, *arguments], check=True
    )
    values: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return values


def table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for name, row in figures.items():
        resident = f"{row['resident_bytes'] / 2**30:.2f} GiB"
        lines.append(f"| {name} | {row['tokens_per_second']:.0f} | {row['peak_share']:.2f} | {resident} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    parser.add_argument("--data", type=Path, help="alpaca rows; else LLMFINETUNE_DATA, else ../shared/data")
    return parser.parse_args()


if __name__ == "__main__":
    main()
