"""Which samples share a sequence, and which rank computes which samples. Pure; both are deterministic.

Packing never cuts a sample: documents in one pack do not see each other, so it changes speed and not results.
"""

import bisect
import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

ATTENTION_COST = 1.0 / 2048
"""Attention's share c in a sample's cost len + c·len²: at 1 / c tokens it costs as much as linear layers."""


def pack(lengths: Sequence[int] | NDArray[np.int32], budget: int) -> list[list[int]]:
    """Best-fit-decreasing bin packing in O(n log n).

    Args:
        lengths: tokens of each sample.
        budget: most tokens in a pack; a sample longer than that gets a pack of its own.

    Returns:
        Packs of positions in `lengths`, every position in exactly one of them; longest sample first.
    """
    values = [int(length) for length in lengths]
    packs: list[list[int]] = []
    open_packs: list[tuple[int, int]] = []  # (room left, pack), sorted
    for position in sorted(range(len(values)), key=lambda index: (-values[index], index)):
        room = _add(values[position], position, budget=budget, packs=packs, open_packs=open_packs)
        if room[0] > 0:
            bisect.insort(open_packs, room)
    return packs


def _add(
    length: int, position: int, *, budget: int, packs: list[list[int]], open_packs: list[tuple[int, int]]
) -> tuple[int, int]:
    at = bisect.bisect_left(open_packs, (length, -1))
    if at == len(open_packs):
        packs.append([position])
        return budget - length, len(packs) - 1
    room, index = open_packs.pop(at)
    packs[index].append(position)
    return room - length, index


def sample_costs(lengths: ArrayLike, attention_cost: float = ATTENTION_COST) -> NDArray[np.float64]:
    """Relative cost of computing each sample: len + c·len²."""
    values = np.asarray(lengths, dtype=np.float64)
    return values + attention_cost * values * values


def balanced_shares(costs: ArrayLike, num_ranks: int) -> list[list[int]]:
    """Splits one global batch over ranks so that all take about equally long: longest processing time first.

    Args:
        costs: cost of each sample of the batch, as from `sample_costs`.
        num_ranks: ranks to share among, at least 1.

    Returns:
        For each rank the positions of its samples, ascending; none for some where samples are few.
    """
    values = np.asarray(costs, dtype=np.float64)
    shares: list[list[int]] = [[] for _ in range(num_ranks)]
    loads = [(0.0, rank) for rank in range(num_ranks)]
    for position in np.argsort(-values, kind="stable"):
        load, rank = heapq.heappop(loads)
        shares[rank].append(int(position))
        heapq.heappush(loads, (load + float(values[position]), rank))
    return [sorted(share) for share in shares]
