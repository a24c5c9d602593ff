"""Held-out loss of an adapter in plain transformers and peft, the same for every contestant, after its run.

`python -m benchmarks.trainers.evaluate <model> <adapter> <samples.npz>` prints the mean per supervised token.
"""

import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from benchmarks.trainers.samples import IGNORED, Samples


@torch.no_grad()
def held_out_loss(model: Path, adapter: Path, samples: Samples) -> float:
    """Mean cross-entropy per supervised token, one sample at a time, base in bf16."""
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
    adapted = PeftModel.from_pretrained(base, adapter).eval()
    total, rows = 0.0, 0
    for index in range(samples.num_samples):
        labels = torch.tensor(samples.labels(index))[1:]
        logits = adapted(input_ids=torch.tensor([samples.ids(index)]), use_cache=False).logits[0, :-1]
        learned = labels != IGNORED
        loss = torch.nn.functional.cross_entropy(logits[learned].float(), labels[learned], reduction="sum")
        total, rows = total + float(loss), rows + int(learned.sum())
    return total / rows


if __name__ == "__main__":
    print(held_out_loss(Path(sys.argv[1]), Path(sys.argv[2]), Samples.load(Path(sys.argv[3]))))
