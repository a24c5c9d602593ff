"""Says on standard output when each step of a fine-tune's history was written, and each checkpoint.

Runs in a pod of its own on the fine-tune's volume. A trainer that resumes puts a new file in place of the
history's, with the steps that count; that begins a new generation. Steps that are computed again are told
again.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

WORKSPACE = Path(os.environ.get("WORKSPACE", "/workspace"))
HISTORY = WORKSPACE / "logs" / "metrics.jsonl"
CHECKPOINTS = WORKSPACE / "checkpoints"
POLL_SECONDS = 0.1


class Watcher:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self._seen: dict[int, str] = {}
        self._file = 0
        self._offset = 0
        self._generation = 0
        self._checkpoint = 0

    def look(self, now: float) -> None:
        """Adds to `told` what is new since the last look."""
        self._look_at_history(now)
        saved = max((int(m.parent.name[5:]) for m in CHECKPOINTS.glob("step-*/manifest.json")), default=0)
        if saved != self._checkpoint:
            self._checkpoint = saved
            self.told.append({"time": now, "saved": saved})

    def _look_at_history(self, now: float) -> None:
        try:
            file = HISTORY.open("rb")
        except FileNotFoundError:
            return
        with file:
            kept = self._begin_generation(os.fstat(file.fileno()).st_ino)
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        lines = [line for line in whole.decode().splitlines() if '"samples"' in line]
        if kept is not None:
            self._resume(now, lines, kept)
        self._tell(now, [line for line in lines if self._seen.get(json.loads(line)["step"]) != line])

    def _begin_generation(self, file: int) -> dict[int, str] | None:
        """Returns the steps of the generation before where a new one begins."""
        if file == self._file:
            return None
        before, self._seen = self._seen, {}
        self._file, self._offset = file, 0
        self._generation += 1
        return before

    def _resume(self, now: float, lines: list[str], before: dict[int, str]) -> None:
        self._seen = {step: line for line in lines if before.get(step := json.loads(line)["step"]) == line}
        resumed = max(self._seen, default=0)
        self.told.append({"time": now, "generation": self._generation, "resumed": resumed})

    def _tell(self, now: float, lines: list[str]) -> None:
        for line in lines:
            found = json.loads(line)
            self._seen[found["step"]] = line
            entry = {"step": found["step"], "world": found["worldSize"]}
            self.told.append({"time": now, "generation": self._generation, **entry})


def main() -> None:
    """Watches until ended."""
    watcher, num_printed = Watcher(), 0
    while True:
        watcher.look(time.time())
        for entry in watcher.told[num_printed:]:
            print(json.dumps(entry), flush=True)
        num_printed = len(watcher.told)
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
