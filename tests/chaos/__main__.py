"""`python -m tests.chaos`: lets faults happen on a real cluster, prints a table and writes it as JSON."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence

from tests.chaos.long_suite import Suite, names_here
from tests.chaos.record import RECORDS, SEED, read_records
from tests.chaos.runs import note_run, told
from tests.chaos.scenario import ALL_NAMES
from tests.chaos.table import Row, markdown, put_between_marks, rows
from tests.chaos.tests_without_cluster import API, WITHOUT_CLUSTER
from tests.e2e.place import REPOSITORY

FOLDER = REPOSITORY / "build" / "chaos"
DOCUMENT = REPOSITORY / "docs" / "chaos.md"
DESCRIPTION = """\
Fine-tunes a real model in real pods while faults happen to them, one after another. Held against the
promises: training ends in Succeeded; in the history of the final weights every sample counts exactly once an
epoch; no work older than the newest checkpoint is lost; there is never more than one job; the status tells of
the fault; rescaling and suspending take 30 seconds at most. Before and after that come the faults that need
no cluster: histories made up at random, and those of single requests to an API server.

Recovery is the time from the fault, or from the end of one that lasts, to the next optimizer step; for faults
that do not stop training, until the status told of a step done after it.
"""
EPILOG = """\
examples:
  python -m tests.chaos --list                          name every fault
  python -m tests.chaos --only "rank 0 of two killed"   one fault, in a run of its own
  python -m tests.chaos --rounds 5 --seed 7             five times, at other steps than --seed 0
  python -m tests.chaos --add --seed 8                  one more of each, in the same table
  python -m tests.chaos --until 3 --seed 9              in the same table, until there are three of each
  make chaos ROUNDS=2 ONLY="scaled 1 to 2" SEED=7       two of one fault, through make

The cluster is the one that `python -m devcluster status` names, brought up where there is none.
Results in build/chaos: result.json (the table), records.jsonl (every injection), runs.jsonl (every command).
Ends with 0 where every chosen fault was injected and survived, else with 1.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the suite and returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(ALL_NAMES))
        return 0
    records, runs = FOLDER / "records.jsonl", FOLDER / "runs.jsonl"
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not options.add and not options.until:
        records.unlink(missing_ok=True)
        runs.unlink(missing_ok=True)
    os.environ.update({RECORDS: str(records), SEED: str(options.seed)})
    here = names_here()
    chosen = [name for name in options.only or here if name != API.name or not options.skip_api]
    known = {row.fault: row.injected for row in rows(read_records(records), wanted={})}
    have = {name: known.get(name, 0) for name in chosen}
    wanted = {name: _num_wanted(options, name, have[name]) for name in chosen}
    suite = Suite({name: wanted[name] - have[name] for name in chosen if name in here}, seed=options.seed)
    started = time.monotonic()
    try:
        suite.run()
    finally:
        given = sys.argv[1:] if arguments is None else arguments
        note_run(runs, given, seconds=time.monotonic() - started)
    table = rows(read_records(records), wanted=wanted)
    _report(table, told(runs), document=options.document)
    return 0 if suite.is_whole and table and all(row.is_sound for row in table) else 1


def _num_wanted(options: argparse.Namespace, name: str, have: int) -> int:
    """How often a fault is to have been injected in the end; what needs no cluster is run once."""
    if options.until:
        return 1 if name in WITHOUT_CLUSTER else int(options.until)
    return have + (1 if name in WITHOUT_CLUSTER else int(options.rounds))


def _report(table: Sequence[Row], made_by: str, *, document: bool) -> None:
    (FOLDER / "result.json").write_text(json.dumps([row.to_json() for row in table], indent=1))
    text = f"{markdown(table)}\n\n{made_by}"
    print(f"\n{text}")
    if document:
        DOCUMENT.write_text(put_between_marks(DOCUMENT.read_text(encoding="utf-8"), text), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    times = parser.add_mutually_exclusive_group()
    times.add_argument("--rounds", type=_num, default=1, help="how often each run is made (default: 1)")
    times.add_argument(
        "--until",
        type=_num,
        metavar="N",
        help="add what faults lack to N injections each, those of earlier runs counted",
    )
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


def _num(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
