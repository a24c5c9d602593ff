"""Finds, loads and declares the compiled kernels."""

import ctypes
import logging
import os
import subprocess
from functools import lru_cache
from pathlib import Path

import torch  # noqa: F401 - its OpenMP is the one that the kernels run on

from llmfinetune_trainer.engine.fused.native.build import SOURCES, CompilerMissingError, build, library_name

log = logging.getLogger(__name__)

POINTER, SIZE, FLOAT, FLAG = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_float, ctypes.c_int
SIGNATURES = {
    "matmul": [POINTER, SIZE, POINTER, SIZE, FLAG, POINTER, POINTER, SIZE, SIZE, SIZE, SIZE],
    "rms_norm": [POINTER, SIZE, POINTER, POINTER, POINTER, POINTER, SIZE, POINTER, SIZE, SIZE, FLOAT],
    "rms_norm_backward": [
        POINTER,
        SIZE,
        POINTER,
        SIZE,
        POINTER,
        POINTER,
        POINTER,
        SIZE,
        SIZE,
        SIZE,
        FLAG,
    ],
    "rotate": [POINTER, SIZE, SIZE, SIZE, POINTER, POINTER, POINTER, SIZE, FLOAT],
    "swiglu": [POINTER, SIZE, POINTER, SIZE, SIZE, SIZE],
    "swiglu_backward": [POINTER, SIZE, POINTER, SIZE, POINTER, SIZE, SIZE, SIZE],
    "dropout": [
        POINTER,
        SIZE,
        POINTER,
        SIZE,
        POINTER,
        SIZE,
        SIZE,
        ctypes.c_uint32,
        ctypes.c_uint32,
        FLOAT,
        FLAG,
    ],
    "cross_entropy": [POINTER, SIZE, POINTER, POINTER, SIZE, SIZE, FLAG],
    "attention": [POINTER, SIZE, POINTER, POINTER, *[SIZE] * 5, FLOAT, POINTER, SIZE, POINTER],
    "attention_backward": [
        POINTER,
        SIZE,
        POINTER,
        SIZE,
        POINTER,
        POINTER,
        POINTER,
        *[SIZE] * 5,
        FLOAT,
        POINTER,
        POINTER,
        SIZE,
    ],
}


def cache_directory() -> Path:
    """Where the library goes when the image does not carry it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "llmfinetune"


@lru_cache(maxsize=1)
def load_library() -> ctypes.CDLL | None:
    """The kernels, compiled now where the image does not carry them; none where that cannot be done.

    The processor's support is the caller's to check.
    """
    name = library_name()
    candidates = [SOURCES / name, cache_directory() / name]
    try:
        path = next((path for path in candidates if path.exists()), None) or build(cache_directory())
        return _declared(ctypes.CDLL(str(path)))
    except (CompilerMissingError, OSError, subprocess.SubprocessError) as error:
        log.warning("kernels are not compiled, torch computes instead: %s", error)
        return None


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    for name, arguments in SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, None
    return library
