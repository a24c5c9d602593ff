"""Reports over HTTP: the latest wins, urgent ones do not wait, failures do not hurt."""

import datetime as dt
import json
import threading
import time
from collections.abc import Callable

import pytest

from llmfinetune_trainer.config.messages import MAX_BODY_BYTES, HistoryPoint, Report, ReportBody, Result
from llmfinetune_trainer.report.http import Endpoint, HttpSink, encode

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


class Server:
    """Takes bodies; refuses the first `num_refused`."""

    def __init__(self, *, num_refused: int = 0) -> None:
        self.num_refused = num_refused
        self.num_asked = 0
        self.steps: list[int] = []
        self.came = threading.Condition()

    def post(self, body: bytes) -> None:
        with self.came:
            self.num_asked += 1
            if self.num_asked > self.num_refused:
                report = ReportBody.model_validate_json(body).llmfinetune
                assert report is not None
                self.steps.append(report.step)
            self.came.notify_all()
        if self.num_asked <= self.num_refused:
            raise ConnectionRefusedError("down")

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.came:
            assert self.came.wait_for(condition, timeout=10)


def report(step: int) -> Report:
    return Report(attempt="1", phase="Training", step=step, total_steps=100)


def test_the_latest_of_many_wins_and_an_urgent_one_does_not_wait() -> None:
    server = Server()
    sink = HttpSink(server.post, min_interval=60.0)
    sink.report(report(1), urgent=False)
    server.wait(lambda: server.steps == [1])
    for step in range(2, 20):
        sink.report(report(step), urgent=False)
    time.sleep(0.1)
    assert server.steps == [1]
    sink.report(report(20), urgent=True)
    server.wait(lambda: server.steps == [1, 20])
    sink.close()


def test_what_a_server_refuses_arrives_when_it_is_back_and_only_the_latest() -> None:
    server = Server(num_refused=2)
    sink = HttpSink(server.post, backoff=(0.05, 0.1))
    sink.report(report(1), urgent=True)
    server.wait(lambda: server.num_asked >= 1)
    sink.report(report(2), urgent=True)
    server.wait(lambda: server.steps == [2])
    sink.close()


def test_the_last_report_is_delivered_on_close() -> None:
    server = Server(num_refused=1)
    sink = HttpSink(server.post, min_interval=60.0, backoff=(0.05, 60.0))
    sink.report(report(1), urgent=False)
    sink.report(report(2), urgent=False)
    sink.close()
    assert server.steps[-1] == 2


def test_close_gives_up_when_nobody_answers() -> None:
    server = Server(num_refused=10**6)
    sink = HttpSink(server.post, backoff=(0.05, 0.05), close_timeout=0.3)
    sink.report(report(1), urgent=True)
    started = time.monotonic()
    sink.close()
    assert time.monotonic() - started < 5
    assert server.steps == []


@pytest.mark.parametrize(
    ("changes", "percentage"),
    [
        ({"step": 0}, 0),
        ({"step": 42}, 42),
        ({"step": 100}, 99),
        (
            {
                "step": 100,
                "result": Result(attempt="1", adapter="a", sha256="sha256:" + "0" * 64, steps=1, loss=1),
            },
            100,
        ),
    ],
    ids=["start", "on the way", "all steps done, nothing exported", "result"],
)
def test_percentage_is_100_only_with_a_result(changes: dict[str, object], percentage: int) -> None:
    body = json.loads(encode(report(0).model_copy(update=changes), now=NOW))
    assert body["trainerStatus"]["progressPercentage"] == percentage


def test_body_is_the_contracts_and_small() -> None:
    history = [HistoryPoint(step=step, loss=1.23456789) for step in range(20)]
    full = report(42).model_copy(update={"loss": 1.5, "learning_rate": 2e-4, "history": history})
    encoded = encode(full, now=NOW)
    body = json.loads(encoded)
    assert body["trainerStatus"]["lastUpdatedTime"] == "2026-01-02T00:00:00Z"
    assert {"name": "loss", "value": "1.5"} in body["trainerStatus"]["metrics"]
    assert body["llmfinetune"]["learningRate"] == 2e-4
    assert "evalLoss" not in body["llmfinetune"]
    assert len(encoded) < MAX_BODY_BYTES / 10


def test_no_endpoint_outside_of_a_cluster() -> None:
    assert Endpoint.from_environment({"KUBEFLOW_TRAINER_SERVER_URL": "https://operator"}) is None
