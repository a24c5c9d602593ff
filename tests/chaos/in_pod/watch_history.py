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
            begins = self._begins_generation(os.fstat(file.fileno()).st_ino)
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        steps = [json.loads(line) for line in whole.splitlines() if b'"samples"' in line]
        if begins:
            resumed = max((found["step"] for found in steps), default=0)
            self.told.append({"time": now, "generation": self._generation, "resumed": resumed})
            return
        for found in steps:
            entry = {"step": found["step"], "world": found["worldSize"]}
            self.told.append({"time": now, "generation": self._generation, **entry})

    def _begins_generation(self, file: int) -> bool:
        """Whether the history is another file than at the last look; what it holds at first was computed
        before."""
        if file == self._file:
            return False
        self._file, self._offset = file, 0
        self._generation += 1
        return True


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
