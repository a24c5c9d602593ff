"""Gives back the pages of weight files that were only read to be copied.

Weights are loaded as views of mapped files. Where they are copied, into the fused engine's matrices or into
another type, the pages that were read stay in the process's memory beside the copies, and its limit counts
them. Giving them back is safe at any time: nobody writes to them, and what is read again comes from the file.
"""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MAPPING: Final = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r\S+ .*\.safetensors$")
_DONTNEED: Final = 4
"""MADV_DONTNEED of Linux."""


def release_weight_files(maps: Path = Path("/proc/self/maps")) -> None:
    """Gives back what is resident of all mapped safetensors files; where a system refuses, it stays."""
    if not maps.exists():
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, end in _mappings(maps.read_text(encoding="utf-8")):
        madvise(start, end - start, _DONTNEED)


def _mappings(text: str) -> Iterator[tuple[int, int]]:
    """First address and end of each mapped weight file."""
    for line in text.splitlines():
        if match := _MAPPING.match(line):
            yield int(match[1], 16), int(match[2], 16)
