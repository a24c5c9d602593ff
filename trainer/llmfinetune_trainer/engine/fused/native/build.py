"""Compiles the kernels: `python -m llmfinetune_trainer.engine.fused.native.build`, once, where the image is
built.

The sources include no header of torch, so that one compiled library serves every release of it.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=x86-64-v4",
    "-mavx512bf16",
    "-fopenmp",
    "-fPIC",
    "-fno-strict-aliasing",
    "-fno-math-errno",
    "-Wno-maybe-uninitialized",
)
TIMEOUT_SECONDS = 300


class CompilerMissingError(RuntimeError):
    """There is no C++ compiler."""


def library_name() -> str:
    """File name of the library that belongs to these sources and flags."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for source in sorted([*SOURCES.glob("*.cpp"), *SOURCES.glob("*.h")]):
        digest.update(source.read_bytes())
    return f"kernels-{digest.hexdigest()[:16]}.so"


def build(directory: Path) -> Path:
    """Compiles into `directory`, and puts the library in place whole.

    Raises:
        CompilerMissingError: neither `$CXX`, `g++` nor `clang++` is there.
        subprocess.CalledProcessError: the compiler refuses the sources.
        OSError: the directory cannot be written.
    """
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))), None)
    if compiler is None:
        raise CompilerMissingError("no C++ compiler: install g++, or take an image that carries the kernels")
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        with ThreadPoolExecutor() as pool:
            compiled = [
                pool.submit(_compile, compiler, source, Path(scratch)) for source in SOURCES.glob("*.cpp")
            ]
        objects = [one.result() for one in compiled]
        linked = Path(scratch) / "kernels.so"
        # OpenMP stays unresolved: the process has torch's, and a second one would run threads of its own
        _run([compiler, "-shared", "-o", str(linked), *map(str, objects)])
        return linked.rename(directory / library_name())


def _compile(compiler: str, source: Path, directory: Path) -> Path:
    target = directory / f"{source.stem}.o"
    _run([compiler, *FLAGS, "-c", str(source), "-o", str(target)])
    return target


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)


if __name__ == "__main__":
    build(SOURCES)
