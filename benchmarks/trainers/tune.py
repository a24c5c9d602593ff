"""The tuning pass: tries each peer's candidate settings once, and records the fastest in `tuned.json`.

`python -m benchmarks.trainers.tune [--peers a,b]`. What it records is kept in the repository, so that a
comparison starts from good settings; run it again on another kind of machine.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.trainers.contestants import PEERS, TUNED, Contestant, read_tuned
from benchmarks.trainers.running import run_contestant
from benchmarks.trainers.setup import Setup, find_data, make_setup
from benchmarks.trainers.workload import Workload

ROOT = Path("build/bench/tune")
WORKLOAD = Workload(steps=2, batch_size=16)
"""One measured step: the candidates lie far apart."""


def main() -> None:
    """Tunes the chosen peers, one after the other, writing after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="names, separated by commas (default: all that have candidates)")
    parser.add_argument("--data", type=Path, help="alpaca rows as JSON")
    options = parser.parse_args()
    names = options.peers.split(",") if options.peers else [peer.name for peer in PEERS if peer.candidates]
    setup = make_setup(WORKLOAD, data=find_data(options.data), root=ROOT)
    for peer in PEERS:
        if peer.name in names:
            tuned = read_tuned() | {peer.name: tune(peer, setup)}
            TUNED.write_text(json.dumps(tuned, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def tune(peer: Contestant, setup: Setup) -> dict[str, Any]:
    """Tries every candidate: `best` are the settings of the fastest, `tried` what each gave."""
    tried = []
    for candidate in peer.candidates:
        contestant = peer._replace(options=peer.options | candidate)
        figures = run_contestant(contestant, setup, output=ROOT / "runs" / peer.name)
        kept = ("tokens_per_second", "peak_share", "peak_rss_bytes", "first_step_seconds", "error")
        tried.append({"options": candidate} | {key: _short(figures[key]) for key in kept if key in figures})
        print(f"{peer.name} {tried[-1]}", flush=True)
    # by share of the peak measured around each run, which a slow moment of the machine moves less
    best = max(tried, key=lambda result: result.get("peak_share", 0.0))
    return {"best": best["options"], "tried": tried}


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
