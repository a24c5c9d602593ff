"""Compiling the kernels."""

import ctypes
import shutil
from pathlib import Path

import pytest

from llmfinetune_trainer.engine.fused.native import build
from llmfinetune_trainer.engine.fused.native.library import SIGNATURES


@pytest.mark.timeout(300)
def test_the_library_holds_every_kernel_that_is_declared(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    path = build.build(tmp_path)
    assert [path] == list(tmp_path.iterdir())
    assert path.name == build.library_name()
    library = ctypes.CDLL(str(path))
    assert all(hasattr(library, name) for name in SIGNATURES)


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.CompilerMissingError, match="install g\\+\\+"):
        build.build(tmp_path / "library")
    assert not (tmp_path / "library").exists()
