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
    micro_batches: tuple[int, ...] = ()
    """Sizes that the tuning pass tries."""
    extras: tuple[dict[str, Any], ...] = ()
    """Settings that the tuning pass tries on top of the best so far, one by one; what helps stays."""
    rounds: int | None = None
    """Takes part in so many rounds, the first ones; in all of them where None."""


AUTOCAST = {"base": "fp32", "autocast": True, "adapter": "fp32", "micro_batch": 8}
"""What the Trainer's documentation says: 32-bit weights, bf16 through autocast."""
BF16 = {"base": "bf16", "autocast": False, "adapter": "fp32", "micro_batch": 1}
"""Frozen base in bf16, adapters in 32 bits."""
BF16_ADAPTERS = {"adapter": "bf16"}
COMPILED = {"compile": True}
KEEP_MEMORY = {
    "variables": {
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TRIM_THRESHOLD_": "17179869184",
        "MALLOC_TOP_PAD_": "268435456",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
}
"""Makes glibc keep large blocks, and ask for huge pages, instead of mapping them anew in every layer."""


class _Huggingface(NamedTuple):
    """How a peer built on Hugging Face Trainer is made."""

    environment: str
    module: str = "huggingface"
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def peer(self, name: str, layout: str, base: dict[str, Any], **tuning: Any) -> Contestant:
        options = {**self.options, **base, "layout": layout}
        mixes = layout == "concatenated"
        return Contestant(
            f"{self.environment}-{name}", self.environment, self.module, options, mixes, **tuning
        )


_HUGGINGFACE = _Huggingface("huggingface")
_TRL = _Huggingface("trl", "trl_sft", {"checkpointing": False})
_IPEX = _Huggingface("ipex", options={"ipex": True})

PEERS = (
    _HUGGINGFACE.peer("padded", "padded", AUTOCAST),
    _HUGGINGFACE.peer("padded-bf16", "padded", BF16, micro_batches=(1, 8), extras=(KEEP_MEMORY,)),
    _HUGGINGFACE.peer(
        "grouped",
        "grouped",
        BF16,
        micro_batches=(1, 2, 8),
        extras=(KEEP_MEMORY, BF16_ADAPTERS),
    ),
    _HUGGINGFACE.peer(
        "flattened",
        "flattened",
        BF16,
        micro_batches=(1, 2, 4, 8),
        extras=(KEEP_MEMORY, BF16_ADAPTERS, COMPILED),
    ),
    _HUGGINGFACE.peer(
        "concatenated",
        "concatenated",
        BF16,
        micro_batches=(1, 2),
        extras=(KEEP_MEMORY, BF16_ADAPTERS, COMPILED),
    ),
    _TRL.peer("default", "default", AUTOCAST | {"checkpointing": True}),
    _TRL.peer("tuned", "padding_free", BF16, micro_batches=(1, 2, 4, 8), extras=(KEEP_MEMORY, BF16_ADAPTERS)),
    _TRL.peer("packed", "packed", BF16, micro_batches=(1, 2), extras=(KEEP_MEMORY,)),
    _IPEX.peer("padded", "padded", AUTOCAST, micro_batches=(2, 8)),
    _IPEX.peer("concatenated", "concatenated", AUTOCAST, micro_batches=(1, 2), extras=(KEEP_MEMORY,)),
    Contestant(
        "llamafactory",
        "llamafactory",
        "llamafactory",
        AUTOCAST | {"layout": "default"},
        micro_batches=(1, 8),
    ),
    Contestant("litgpt", "litgpt", "litgpt", {"micro_batch": 8}, micro_batches=(1, 8), extras=(KEEP_MEMORY,)),
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
