"""The file that all benchmarks of one `make bench` share: build/bench/result.json."""

import json
from pathlib import Path
from typing import Any

ROOT = Path("build/bench")
RESULT = ROOT / "result.json"


def write_result(result: dict[str, Any], path: Path) -> None:
    """Replaces the file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(result, indent=1), encoding="utf-8")
    partial.replace(path)


def record(key: str, figures: Any) -> None:
    """Puts figures under a key of the result; what others wrote stays."""
    write_result(_result() | {key: figures}, RESULT)


def recorded(key: str) -> dict[str, Any]:
    """What is under a key of the result; nothing where it was never measured."""
    figures: dict[str, Any] = _result().get(key, {})
    return figures


def _result() -> dict[str, Any]:
    result: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    return result
