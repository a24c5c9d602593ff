"""The tuning pass: tries each peer's settings once, and records the fastest in `tuned.json`.

`python -m benchmarks.trainers.tune [--peers a,b] [--missing]`. What it records is kept in the repository, so
that a comparison starts from good settings; run it again on another kind of machine. Settings are compared by
tokens per second of processor time, so that the machine need not be quiet. With `--missing`, what is recorded
counts as tried, and only the rest runs.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.trainers.contestants import PEERS, TUNED, Contestant, read_tuned
from benchmarks.trainers.figures import tokens_per_cpu_second
from benchmarks.trainers.running import run_contestant
from benchmarks.trainers.setup import Setup, find_data, make_setup
from benchmarks.trainers.workload import Workload

ROOT = Path("build/bench/tune")
WORKLOAD = Workload(steps=2, batch_size=8)
"""One measured step: what is tried lies far apart."""
Trial = dict[str, Any]
"""Settings (`options`) and what they gave: `tokens_per_cpu_second`, or an `error`."""


def main() -> None:
    """Tunes the chosen peers, one after the other, writing after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peers", help="names, separated by commas (default: all that have something to tune)"
    )
    parser.add_argument(
        "--missing",
        action="store_true",
        help="only what tuned.json does not say yet, on this kind of machine",
    )
    parser.add_argument("--data", type=Path, help="alpaca rows as JSON")
    options = parser.parse_args()
    names = options.peers.split(",") if options.peers else [peer.name for peer in PEERS if peer.micro_batches]
    setup = make_setup(WORKLOAD, data=find_data(options.data), root=ROOT)
    by_name = {peer.name: peer for peer in PEERS}
    for name in names:
        peer = by_name[name]
        if peer.micro_batches:
            recorded = read_tuned().get(peer.name, {}).get("tried", []) if options.missing else []
            found = tune(peer, recorded, attempt=partial(_tried, peer, setup))
            tuned = read_tuned() | {peer.name: found}
            TUNED.write_text(json.dumps(tuned, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def tune(
    peer: Contestant, recorded: Sequence[Trial], *, attempt: Callable[[dict[str, Any]], Trial]
) -> dict[str, Any]:
    """Finds the best micro-batch, then keeps each extra that makes it faster still.

    Args:
        peer: whose settings.
        recorded: trials that need not run again.
        attempt: runs the peer with these settings.

    Returns:
        `best`, the settings found, and `tried`, what each trial gave.
    """

    def trial(settings: dict[str, Any]) -> Trial:
        known = [one for one in recorded if one["options"] == settings]
        return known[0] if known else attempt(settings)

    tried = [trial({"micro_batch": size}) for size in peer.micro_batches]
    for extra in peer.extras:
        tried.append(trial(merged(_best(tried), extra)))
    return {"best": _best(tried), "tried": tried}


def merged(settings: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Settings with an extra on top; environment variables of both."""
    variables = settings.get("variables", {}) | extra.get("variables", {})
    return settings | extra | ({"variables": variables} if variables else {})


def _best(tried: Sequence[Trial]) -> dict[str, Any]:
    best: dict[str, Any] = max(tried, key=lambda trial: trial.get("tokens_per_cpu_second", 0.0))["options"]
    return best


def _tried(peer: Contestant, setup: Setup, settings: dict[str, Any]) -> Trial:
    contestant = peer._replace(options=peer.options | settings)
    output = ROOT / "runs" / peer.name
    figures = run_contestant(contestant, setup, output=output)
    if "error" not in figures:
        report = json.loads((output / "report.json").read_text(encoding="utf-8"))
        figures["tokens_per_cpu_second"] = tokens_per_cpu_second(
            report["steps"], warmup_steps=WORKLOAD.warmup_steps
        )
    kept = ("tokens_per_cpu_second", "peak_rss_bytes", "first_step_seconds", "error")
    trial = {"options": settings} | {key: _short(figures[key]) for key in kept if key in figures}
    print(f"{peer.name} {trial}", flush=True)
    return trial


def _short(value: Any) -> Any:
    return round(value, 1) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
