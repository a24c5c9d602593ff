"""Reports to the operator over HTTPS: in the background, the latest wins, never in the way of training."""

import datetime as dt
import json
import logging
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from llmfinetune_trainer.config import layout
from llmfinetune_trainer.config.messages import Metric, Report, ReportBody, TrainerStatus
from llmfinetune_trainer.report.sink import StepRecord

MIN_INTERVAL = 5.0
"""Seconds between reports that are not urgent."""
BACKOFF = (1.0, 15.0)
"""First and longest wait after a report could not be delivered, seconds."""
TIMEOUT = 10.0
"""Seconds that one request may take, and that the last report is tried for."""

log = logging.getLogger(__name__)

Post = Callable[[bytes], None]
"""Delivers one body. Raises OSError where that fails."""


class Endpoint(NamedTuple):
    """Where to report to."""

    url: str
    ca_file: Path
    token_file: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self | None:
        """The endpoint that the operator put into the environment; None outside of a cluster."""
        names = (layout.ENV_SERVER_URL, layout.ENV_SERVER_CA, layout.ENV_SERVER_TOKEN)
        url, ca_file, token_file = (environment.get(name, "") for name in names)
        return cls(url, Path(ca_file), Path(token_file)) if url and ca_file and token_file else None

    def post(self, body: bytes) -> None:
        """Posts one body. Token and certificate are read every time: both are renewed while this runs."""
        request = urllib.request.Request(self.url, data=body, method="POST")  # noqa: S310 - the operator's URL
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {self.token_file.read_text(encoding='utf-8').strip()}")
        context = ssl.create_default_context(cafile=self.ca_file)
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as response:  # noqa: S310
            response.read()


class HttpSink:
    """Posts the latest report from a thread of its own."""

    def __init__(
        self,
        post: Post,
        *,
        min_interval: float = MIN_INTERVAL,
        backoff: tuple[float, float] = BACKOFF,
        close_timeout: float = TIMEOUT,
    ) -> None:
        self._post = post
        self._min_interval = min_interval
        self._first_wait, self._longest_wait = backoff
        self._close_timeout = close_timeout
        self._changed = threading.Condition()
        self._latest: Report | None = None
        self._urgent = False
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name="progress-report", daemon=True)
        self._thread.start()

    def report(self, report: Report, *, urgent: bool) -> None:
        """See `Sink`."""
        with self._changed:
            self._latest, self._urgent = report, self._urgent or urgent
            self._changed.notify()

    def step(self, record: StepRecord) -> None:
        """Steps travel inside of reports."""

    def close(self) -> None:
        """Tries for a few seconds to deliver the last report."""
        with self._changed:
            self._deadline, self._urgent = time.monotonic() + self._close_timeout, True
            self._changed.notify()
        self._thread.join(self._close_timeout + 1.0)

    def _run(self) -> None:
        wait = self._first_wait
        while (report := self._next()) is not None:
            if self._deliver(report):
                wait = self._first_wait
                self._pause(self._min_interval, ends_when_urgent=True)
            else:
                self._keep(report)
                closing = self._deadline is not None
                self._pause(self._first_wait if closing else wait, ends_when_urgent=False)
                wait = min(2.0 * wait, self._longest_wait)

    def _next(self) -> Report | None:
        """Waits for a report; None when there will be no more, or no more time."""
        with self._changed:
            while self._latest is None and self._deadline is None:
                self._changed.wait()
            if self._deadline is not None and time.monotonic() >= self._deadline:
                return None
            report, self._latest, self._urgent = self._latest, None, False
            return report

    def _keep(self, report: Report) -> None:
        """Puts an undelivered report back, unless a newer one has come."""
        with self._changed:
            self._latest = self._latest or report

    def _pause(self, seconds: float, *, ends_when_urgent: bool) -> None:
        end = time.monotonic() + seconds
        with self._changed:
            while (left := end - time.monotonic()) > 0:
                if self._deadline is not None and (ends_when_urgent or time.monotonic() >= self._deadline):
                    return
                if ends_when_urgent and self._urgent:
                    return
                self._changed.wait(left)

    def _deliver(self, report: Report) -> bool:
        try:
            self._post(encode(report, now=dt.datetime.now(dt.UTC)))
        except (OSError, ValueError) as error:  # URLError, timeouts, a missing token file; a malformed answer
            log.warning("progress report not delivered, trying again: %s", error)
            return False
        return True


def encode(report: Report, *, now: dt.datetime) -> bytes:
    """The request body: the part that Kubeflow Trainer's contract defines, and this project's report."""
    body = ReportBody(trainer_status=trainer_status(report, now=now), llmfinetune=report)
    return json.dumps(body.model_dump(mode="json", by_alias=True, exclude_none=True)).encode()


def trainer_status(report: Report, *, now: dt.datetime) -> TrainerStatus:
    """The contract's own fields. 100 % is said only when the result is there."""
    share = 100 * report.step // report.total_steps if report.total_steps else None
    metrics = {
        "loss": report.loss,
        "eval_loss": report.eval_loss,
        "learning_rate": report.learning_rate,
        "tokens_per_second": report.tokens_per_second,
        "current_step": report.step,
        "total_steps": report.total_steps,
        "current_epoch": report.epoch,
    }
    return TrainerStatus(
        progress_percentage=100 if report.result else None if share is None else min(99, share),
        estimated_remaining_seconds=report.eta_seconds,
        metrics=[
            Metric(name=name, value=f"{value:.6g}") for name, value in metrics.items() if value is not None
        ],
        last_updated_time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
