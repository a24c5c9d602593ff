"""What the operator logs, and what of others it lets through."""

import json
import logging

import pytest
from aiohttp.http_exceptions import BadStatusLine

from llmfinetune_operator.logs import WATCH_RETRIES_SECONDS, JsonFormatter, WatchRetries, is_not_about_bytes
from llmfinetune_operator.observed import Key


def record(message: str, *, name: str = "llmfinetune_operator", **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": name, "msg": message, "levelno": logging.ERROR, "levelname": "ERROR", **fields}
    )


def test_a_line_is_one_json_object_with_the_fields_that_are_known() -> None:
    line = JsonFormatter().format(record("went wrong", key=Key("ml", "medical"), token="secret"))
    said = json.loads(line)
    assert (said["message"], said["key"]) == ("went wrong", "ml/medical")
    assert "secret" not in line


def test_a_malformed_request_is_not_quoted() -> None:
    error = BadStatusLine("Authorization: Bearer secret")
    assert not is_not_about_bytes(record("x", exc_info=(type(error), error, None)))
    assert is_not_about_bytes(record("x"))


def retry(number: int) -> logging.LogRecord:
    return record(
        f"Request attempt #{number} failed; will retry: GET /api/v1/pods -> ConnectionRefusedError()",
        name="kopf._cogs.clients.api",
    )


def test_tries_of_the_watches_are_one_warning_a_minute() -> None:
    now = 0.0
    retries = WatchRetries(time=lambda: now)
    first = retry(1)
    assert retries.filter(first)
    assert (first.levelname, "ConnectionRefusedError" in first.getMessage()) == ("WARNING", True)
    assert not retries.filter(retry(2))
    now = WATCH_RETRIES_SECONDS
    assert retries.filter(retry(3))


@pytest.mark.parametrize("name", ["kopf._cogs.clients.api", "llmfinetune_operator"])
def test_other_records_stay_as_they_are(name: str) -> None:
    other = record("failed for good", name=name)
    assert WatchRetries(time=lambda: 0.0).filter(other)
    assert other.levelname == "ERROR"
