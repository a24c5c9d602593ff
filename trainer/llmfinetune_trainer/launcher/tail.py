"""The end of what a process tree writes to its error output, which is passed on as it comes."""

import threading
from io import BufferedReader
from typing import IO, Final

from llmfinetune_trainer.config.messages import MAX_LOG_TAIL
from llmfinetune_trainer.config.redaction import redact

CHUNK_BYTES: Final = 8192
KEPT_BYTES: Final = 32_768
"""More than is told: redaction needs the beginning of what it is to recognise."""
CLOSING_SECONDS: Final = 2.0
"""How long an orphan that still holds the pipe is waited for."""


class Tail:
    """Follows one stream from a thread of its own, so that whoever writes into it never waits for long."""

    def __init__(self, passed_on_to: IO[bytes]) -> None:
        self._out = passed_on_to
        self._kept = b""
        self._thread: threading.Thread | None = None

    def follow(self, stream: BufferedReader) -> None:
        """Begins to read the stream; returns at once."""
        self._thread = threading.Thread(target=self._copy, args=(stream,), name="log-tail", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """The last lines so far, at most MAX_LOG_TAIL characters, without secrets."""
        if self._thread is not None:
            self._thread.join(CLOSING_SECONDS)
        return last_lines(self._kept.decode(errors="replace"))

    def _copy(self, stream: BufferedReader) -> None:
        with stream:
            while chunk := stream.read1(CHUNK_BYTES):
                self._kept = (self._kept + chunk)[-KEPT_BYTES:]
                self._out.write(chunk)
                self._out.flush()


def last_lines(text: str, *, limit: int = MAX_LOG_TAIL) -> str:
    """The whole lines at the end of a text that fit; of a single longer line, its end."""
    clean = redact(text.replace("\x00", "")).strip()
    if len(clean) <= limit:
        return clean
    cut = clean[-limit:]
    _, newline, rest = cut.partition("\n")
    return rest if newline else cut
