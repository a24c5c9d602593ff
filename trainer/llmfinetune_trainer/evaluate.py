"""Loss on held-out samples: the exact mean per supervised token, shared over the ranks."""

from collections.abc import Callable

import torch

from llmfinetune_trainer.data.packing import balanced_shares, sample_costs
from llmfinetune_trainer.engine.batches import Samples, micro_batch, packed
from llmfinetune_trainer.engine.distributed import Ranks
from llmfinetune_trainer.engine.gradients import GradientComputer


def evaluate(
    samples: Samples,
    computer: GradientComputer,
    ranks: Ranks,
    *,
    budget: int,
    check_stop: Callable[[], None],
    on_progress: Callable[[float], None] = lambda _share: None,
) -> float | None:
    """Mean cross-entropy per supervised token in nats, on every rank; None where nothing is held out.

    Args:
        samples: the held-out samples.
        computer: computes their loss.
        ranks: share the samples.
        budget: most tokens of a micro-batch.
        check_stop: raises when told to stop; called before every micro-batch.
        on_progress: told after every micro-batch which share of this rank's samples is done, in (0, 1].
    """
    if samples.num_samples == 0:
        return None
    share = balanced_shares(sample_costs(samples.lengths), ranks.world_size)[ranks.rank]
    total = torch.zeros(1, dtype=torch.float64)
    packs = packed(samples.lengths[share], budget=budget)
    for num_done, positions in enumerate(packs, start=1):
        check_stop()
        total += computer.loss_sum(micro_batch(samples, [share[position] for position in positions]))
        on_progress(num_done / len(packs))
    ranks.sum(total)
    return float(total) / int(samples.supervised.sum())
