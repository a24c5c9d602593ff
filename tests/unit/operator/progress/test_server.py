"""The progress endpoint over HTTP: what is accepted, and every way in which a report is refused."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from llmfinetune_operator.constants import PROGRESS_PATH
from llmfinetune_operator.errors import BadReportError, UnavailableError
from llmfinetune_operator.observed import Key, Object
from llmfinetune_operator.progress.reports import RateLimit, Reports
from llmfinetune_operator.progress.server import ProgressServer
from llmfinetune_operator.progress.tokens import Sender
from llmfinetune_trainer.config.layout import ENV_ATTEMPT
from llmfinetune_trainer.config.messages import MAX_BODY_BYTES
from tests.unit.operator.reconcile.objects import KEY, pod

Client = TestClient[web.Request, web.Application]

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BODY = {"llmfinetune": {"attempt": "u1-1", "phase": "Training", "step": 3, "loss": 1.5}}


class Endpoint:
    """The server with everything around it made up."""

    def __init__(self) -> None:
        self.sender_is: Sender | Exception = Sender(
            namespace="ml", service_account="medical-trainer", pod_name="medical-worker-0", pod_uid="p1"
        )
        self.known = {KEY: (worker("u1-1"),)}
        self.reports = Reports(clock=lambda: NOW)
        self.notified: list[Key] = []
        self.results: Counter[str] = Counter()
        self.ready = True
        self.tokens: list[str] = []
        self.server = ProgressServer(
            pods=self,
            tokens=self,  # type: ignore[arg-type]
            reports=self.reports,
            limit=RateLimit(per_second=0.0, burst=3, time=lambda: 0.0),
            notify=self.notified.append,
            count=lambda result: self.results.update([result]),
            is_ready=lambda: self.ready,
        )

    def pods(self, key: Key) -> tuple[Object, ...]:
        return self.known.get(key, ())

    async def sender(self, token: str) -> Sender:
        self.tokens.append(token)
        if isinstance(self.sender_is, Exception):
            raise self.sender_is
        return self.sender_is


def worker(attempt: str) -> dict[str, Any]:
    env = [{"name": "OTHER", "value": "x"}, {"name": ENV_ATTEMPT, "value": attempt}]
    return pod(spec={"containers": [{"name": "pytorch", "env": env}]})


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
async def client(endpoint: Endpoint) -> AsyncIterator[Client]:
    async with TestClient(TestServer(endpoint.server.application())) as client:
        yield client


async def post(client: Client, *, key: Key = KEY, **request: Any) -> int:
    headers = {"Authorization": "Bearer token", **request.pop("headers", {})}
    request = request or {"json": BODY}
    path = PROGRESS_PATH.format(namespace=key.namespace, name=key.name)
    async with client.post(path, headers=headers, **request) as response:
        assert response.status == 200 or (await response.json())["message"]
        return response.status


async def test_a_report_is_kept_and_its_fine_tune_reconciled(
    endpoint: Endpoint,
    client: Client,
) -> None:
    assert await post(client) == 200
    latest = endpoint.reports.latest(KEY)
    assert latest is not None
    assert (latest.report.step, latest.report.loss) == (3, 1.5)
    assert endpoint.notified == [KEY]
    assert endpoint.tokens == ["token"]


async def test_a_report_that_says_nothing_new_wakes_nobody(
    endpoint: Endpoint,
    client: Client,
) -> None:
    await post(client)
    await post(client)
    assert endpoint.notified == [KEY]


async def test_a_stock_report_is_about_the_attempt_of_its_pod(
    endpoint: Endpoint,
    client: Client,
) -> None:
    assert await post(client, json={"trainerStatus": {"progressPercentage": 10}}) == 200
    latest = endpoint.reports.latest(KEY)
    assert latest is not None
    assert latest.report.attempt == "u1-1"


async def test_a_report_of_another_attempt_is_answered_and_ignored(
    endpoint: Endpoint,
    client: Client,
) -> None:
    endpoint.known[KEY] = (worker("u1-2"),)
    assert await post(client) == 200
    assert endpoint.reports.latest(KEY) is None
    assert endpoint.results == {"stale": 1}


def forged(**changes: str) -> Callable[[Endpoint], None]:
    def change(endpoint: Endpoint) -> None:
        assert isinstance(endpoint.sender_is, Sender)
        endpoint.sender_is = Sender(**{**vars_of(endpoint.sender_is), **changes})

    return change


def vars_of(sender: Sender) -> dict[str, str]:
    return {name: getattr(sender, name) for name in ("namespace", "service_account", "pod_name", "pod_uid")}


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(forged(namespace="research"), id="from another namespace"),
        pytest.param(forged(service_account="legal-trainer"), id="by another fine-tune's pod"),
        pytest.param(forged(service_account="default"), id="by a pod of somebody else"),
        pytest.param(forged(pod_name="medical-worker-9"), id="by an unknown pod"),
        pytest.param(forged(pod_uid="p0"), id="by a pod that has been replaced"),
        pytest.param(lambda endpoint: endpoint.known.clear(), id="about an unknown fine-tune"),
    ],
)
async def test_a_forged_report_is_forbidden(
    endpoint: Endpoint,
    client: Client,
    forge: Callable[[Endpoint], None],
) -> None:
    forge(endpoint)
    assert await post(client) == 403
    assert endpoint.results == {"forbidden": 1}
    assert endpoint.notified == []


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer", "Bearer "])
async def test_a_request_without_a_token_reaches_nothing(
    endpoint: Endpoint,
    client: Client,
    header: str,
) -> None:
    assert await post(client, headers={"Authorization": header}) == 401
    assert endpoint.tokens == []


@pytest.mark.parametrize(
    ("sender", "status"),
    [
        pytest.param(BadReportError("no", status=401, result="unauthenticated"), 401, id="a bad token"),
        pytest.param(UnavailableError("down", what=""), 503, id="an API server that is away"),
    ],
)
async def test_without_a_sender_nothing_is_accepted(
    endpoint: Endpoint,
    client: Client,
    sender: Exception,
    status: int,
) -> None:
    endpoint.sender_is = sender
    assert await post(client) == status
    assert endpoint.reports.latest(KEY) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="torn"),
        pytest.param(b"{}", 422, id="empty"),
        pytest.param(b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}', 413, id="too large"),
    ],
)
async def test_a_bad_body_is_refused(
    endpoint: Endpoint,
    client: Client,
    body: bytes,
    status: int,
) -> None:
    assert await post(client, data=body) == status
    assert endpoint.reports.latest(KEY) is None


async def test_too_many_reports_are_limited(endpoint: Endpoint, client: Client) -> None:
    assert [await post(client) for _ in range(4)] == [200, 200, 200, 429]
    assert endpoint.results["limited"] == 1


async def test_before_the_pods_are_known_a_trainer_is_asked_to_come_again(
    endpoint: Endpoint,
    client: Client,
) -> None:
    endpoint.ready = False
    assert await post(client) == 503


async def test_other_paths_and_methods_do_not_exist(client: Client) -> None:
    assert (await client.get("/")).status == 404
    assert (await client.get(PROGRESS_PATH.format(namespace="ml", name="medical"))).status == 405
