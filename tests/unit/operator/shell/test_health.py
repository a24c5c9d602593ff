"""What the kubelet and Prometheus are answered."""

import pytest
from aiohttp.test_utils import TestClient, TestServer

from llmfinetune_operator.health import STUCK_SECONDS, application
from llmfinetune_operator.metrics import Metrics


@pytest.mark.parametrize(
    ("path", "age", "is_ready", "status"),
    [
        pytest.param("/healthz", 0.0, False, 200, id="alive before it is ready"),
        pytest.param("/healthz", STUCK_SECONDS + 1, True, 503, id="stuck"),
        pytest.param("/readyz", 0.0, False, 503, id="not ready"),
        pytest.param("/readyz", 0.0, True, 200, id="ready"),
        pytest.param("/metrics", 0.0, False, 200, id="metrics at any time"),
    ],
)
async def test_a_probe_is_answered(path: str, age: float, is_ready: bool, status: int) -> None:
    served = application(metrics=Metrics(), age=lambda: age, is_ready=lambda: is_ready)
    async with TestClient(TestServer(served)) as client:
        assert (await client.get(path)).status == status


def test_no_sample_tells_when_a_counter_was_made() -> None:
    metrics = Metrics()
    metrics.count_report("accepted")
    text = metrics.exposition().decode()
    assert 'llmfinetune_operator_reports_total{result="accepted"} 1.0' in text
    assert "_created" not in text


def test_failures_are_counted_by_category() -> None:
    metrics = Metrics()
    metrics.count_failure("OutOfMemory", retryable=True)
    text = metrics.exposition().decode()
    assert 'llmfinetune_failures_total{category="OutOfMemory",retryable="true"} 1.0' in text
