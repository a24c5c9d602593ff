"""Who takes part, and with which settings. Settings that a tuning pass found best come from `tuned.json`."""

import json
from pathlib import Path
from typing import Any, NamedTuple

TUNED = Path(__file__).parent / "tuned.json"
"""Written by `python -m benchmarks.trainers.tune`: settings by name of contestant, and what was tried."""


class Contestant(NamedTuple):
    """One peer in one flavour."""

    name: str
    environment: str
    """Requirement file without its ending; also the directory below `build/bench/envs`."""
    module: str
    """Module of `benchmarks.trainers.peers`."""
    options: dict[str, Any]
    mixes_documents: bool = False
    """Whether documents attend to each other; a measurement in the run overrides it."""
    candidates: tuple[dict[str, Any], ...] = ()
    """Settings that the tuning pass tries on top of `options`."""
    rounds: int | None = None
    """Takes part in so many rounds, the first ones; in all of them where None."""


AUTOCAST = {"base": "fp32", "autocast": True, "adapter": "fp32"}
"""What the Trainer's documentation says: 32-bit weights, bf16 through autocast."""
BF16 = {"base": "bf16", "autocast": False, "adapter": "fp32"}
"""Frozen base in bf16, adapters in 32 bits."""


def _tries(*micro_batches: int, **fixed: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"micro_batch": size, **fixed} for size in micro_batches)


def _huggingface(
    name: str, layout: str, base: dict[str, Any], tries: tuple[dict[str, Any], ...] = ()
) -> Contestant:
    options = {"layout": layout, "micro_batch": 8, **base}
    return Contestant(
        f"huggingface-{name}", "huggingface", "huggingface", options, layout == "concatenated", tries
    )


def _trl(name: str, layout: str, base: dict[str, Any], tries: tuple[dict[str, Any], ...] = ()) -> Contestant:
    options = {"layout": layout, "micro_batch": 8, "checkpointing": False, **base}
    return Contestant(f"trl-{name}", "trl", "trl_sft", options, candidates=tries)


def _ipex(name: str, layout: str) -> Contestant:
    options = {"layout": layout, "micro_batch": 8, "ipex": True, **AUTOCAST}
    return Contestant(
        f"ipex-{name}", "ipex", "huggingface", options, layout == "concatenated", _tries(1, 4, 8)
    )


PEERS = (
    _huggingface("padded", "padded", AUTOCAST),
    _huggingface("padded-bf16", "padded", BF16, _tries(1, 4, 8, 16)),
    _huggingface(
        "grouped", "grouped", BF16, (*_tries(1, 2, 4, 8, 16), {"micro_batch": 4, "adapter": "bf16"})
    ),
    _huggingface("flattened", "flattened", BF16, _tries(2, 4, 8, 16)),
    _huggingface(
        "concatenated",
        "concatenated",
        BF16,
        (*_tries(1, 2, 4), *_tries(1, compile=True), *_tries(1, adapter="bf16")),
    ),
    _trl("default", "default", AUTOCAST | {"checkpointing": True}),
    _trl("tuned", "padding_free", BF16, _tries(2, 4, 8)),
    _trl("packed", "packed", BF16, _tries(1, 2)),
    _ipex("padded", "padded"),
    _ipex("concatenated", "concatenated"),
    Contestant(
        "llamafactory", "llamafactory", "llamafactory", {"micro_batch": 8, **BF16}, candidates=_tries(1, 4, 8)
    ),
    Contestant("litgpt", "litgpt", "litgpt", {"micro_batch": 8}, candidates=_tries(1, 4, 8)),
)
QUICK = ("huggingface-grouped", "huggingface-concatenated")
"""Peers of the quick run: the strongest of each kind that need one environment only."""


def chosen_peers(names: list[str] | None) -> list[Contestant]:
    """The peers of these names, all where none is given, with their tuned settings.

    Raises:
        ValueError: a name that no peer has.
    """
    by_name = {peer.name: peer for peer in PEERS}
    unknown = sorted(set(names or ()) - by_name.keys())
    if unknown:
        raise ValueError(f"no peer {', '.join(unknown)}; there are {', '.join(by_name)}")
    tuned = read_tuned()
    return [
        peer._replace(options=peer.options | tuned.get(peer.name, {}).get("best", {}))
        for peer in (by_name[name] for name in names or by_name)
    ]


def read_tuned(path: Path = TUNED) -> dict[str, Any]:
    """What the tuning pass recorded, by name of contestant; nothing where it never ran."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return values
