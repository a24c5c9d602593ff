"""How the operator logs: one line a record, as JSON for machines or as text for people."""

import json
import logging
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final, Literal

from aiohttp.http_exceptions import HttpProcessingError

LogFormat = Literal["json", "text"]

WATCH_RETRIES_SECONDS: Final = 60.0
STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record and the fields of its `extra` as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)


class TextFormatter(logging.Formatter):
    """Formats a record for a terminal, the fields of its `extra` behind the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is the base class's
        """Return the line without any traceback."""
        fields = " ".join(f"{name}={value}" for name, value in fields_of(record).items())
        return f"{super().formatMessage(record)} {fields}".rstrip()


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record carries beyond the standard; a key or reference as its parts joined by slashes."""
    extra = {name: value for name, value in vars(record).items() if name not in STANDARD}
    return {
        name: "/".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in extra.items()
        if name in {"key", "object", "event", "reason", "again_in"}
    }


def is_not_about_bytes(record: logging.LogRecord) -> bool:
    """Say whether a record is no complaint about a malformed request: those quote it, tokens included."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class WatchRetries(logging.Filter):
    """Lets one line a minute through of those in which every watch tells every try that failed."""

    def __init__(self, *, time: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._time = time
        self._said_at = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is to be logged; one of those becomes a warning."""
        if not record.name.startswith("kopf") or "will retry" not in record.getMessage():
            return True
        if self._time() - self._said_at < WATCH_RETRIES_SECONDS:
            return False
        self._said_at = self._time()
        reason = record.getMessage().rpartition(" -> ")[2]
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "watches cannot reach the API server, trying again: %s", (reason,)
        return True


def set_up(*, log_format: LogFormat, level: str) -> None:
    """Send every record to standard error. Third parties speak up only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(WatchRetries())
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.server").addFilter(is_not_about_bytes)
    for name in ("kopf", "aiohttp.access", "kubernetes", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
