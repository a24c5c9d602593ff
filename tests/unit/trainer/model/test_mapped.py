"""Pages of weight files leave the process's memory, and their contents stay."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from llmfinetune_trainer.model.mapped import release_weight_files

SIZE = 8 << 20


def resident(path: Path) -> int:
    """Bytes of the mapped file in memory."""
    total, is_file = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.partition(" ")[0]:
            is_file = line.endswith(path.name)
        elif is_file and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def test_what_was_read_is_given_back_and_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.arange(SIZE // 4, dtype=torch.int32)}, path)
    weight = load_file(path)["weight"]
    copy = weight.clone()
    assert resident(path) >= SIZE
    release_weight_files()
    assert resident(path) < SIZE // 100
    torch.testing.assert_close(weight, copy)
