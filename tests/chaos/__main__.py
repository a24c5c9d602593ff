"""`python -m tests.chaos`: lets faults happen on a real cluster, prints a table and writes it as JSON."""

import argparse
import json
import os
import platform
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.long_suite import Suite
from tests.chaos.record import RECORDS, read_records
from tests.chaos.scenario import ALL_NAMES
from tests.chaos.table import markdown, put_between_marks, rows
from tests.e2e.place import REPOSITORY

FOLDER = REPOSITORY / "build" / "chaos"
DOCUMENT = REPOSITORY / "docs" / "chaos.md"
DESCRIPTION = """\
Fine-tunes a real model in real pods while faults happen to them, one after another. Held against the
promises: training ends in Succeeded; in the history of the final weights every sample counts exactly once an
epoch; no work older than the newest checkpoint is lost; there is never more than one job; the status tells of
the fault.

Recovery is the time from the fault, or from the end of one that lasts, to the next optimizer step; for faults
that do not stop training, until the status told of a step done after it.
"""
EPILOG = """\
examples:
  python -m tests.chaos --list                          name every fault
  python -m tests.chaos --only "rank 0 of two killed"   one fault, in a run of its own
  python -m tests.chaos --rounds 5 --seed 7             five times, at other steps than --seed 0
  python -m tests.chaos --add --seed 8                  one more of each, in the same table
  make chaos ROUNDS=2 ONLY="scaled 1 to 2"              two of one fault, through make

The cluster is the one that `python -m devcluster status` names, brought up where there is none.
Results: build/chaos/result.json (the table) and build/chaos/records.jsonl (every injection).
Ends with 0 where every fault was survived, else with 1.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the suite and returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(ALL_NAMES))
        return 0
    records = FOLDER / "records.jsonl"
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not options.add:
        records.unlink(missing_ok=True)
    os.environ[RECORDS] = str(records)
    started = time.monotonic()
    suite = Suite(only=frozenset(options.only), rng=random.Random(options.seed))
    suite.run(rounds=options.rounds, with_api=not options.only and not options.skip_api)
    return _report(records, seconds=time.monotonic() - started, document=options.document)


def _report(records: Path, *, seconds: float, document: bool) -> int:
    table = rows(read_records(records))
    (FOLDER / "result.json").write_text(json.dumps([row.to_json() for row in table], indent=1))
    text = markdown(table)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    where = f"{os.cpu_count()} cores, {platform.machine()}, load averages at the end {load}"
    print(f"\n{text}\n\n{seconds / 60:.0f} minutes on {where}")
    if document:
        command = f"`{' '.join(['python -m tests.chaos', *sys.argv[1:]])}`"
        told = f"{text}\n\nMade by {command} in {seconds / 60:.0f} minutes on {where}."
        DOCUMENT.write_text(put_between_marks(DOCUMENT.read_text(encoding="utf-8"), told), encoding="utf-8")
    is_sound = all(row.injected == row.survived for row in table) and bool(table)
    return 0 if is_sound and not any(row.samples_lost or row.samples_repeated for row in table) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=1, help="how often each run is made (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="chooses the steps that faults strike at")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=ALL_NAMES,
        metavar="FAULT",
        help="only this fault (repeatable)",
    )
    parser.add_argument("--skip-api", action="store_true", help="leave out the faults of the API server")
    parser.add_argument(
        "--add", action="store_true", help="add to what earlier runs came to, instead of starting over"
    )
    parser.add_argument(
        "--document", action="store_true", help="put the table into docs/chaos.md between its marks"
    )
    parser.add_argument("--list", action="store_true", help="name every fault and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
