"""Whose token it is: what the API server's verdict must say, and how long it is believed."""

from typing import Any

import pytest

from llmfinetune_operator.constants import PROGRESS_AUDIENCE
from llmfinetune_operator.errors import BadReportError, UnavailableError
from llmfinetune_operator.progress.reports import RateLimit
from llmfinetune_operator.progress.tokens import ACCEPTED_SECONDS, REFUSED_SECONDS, Sender, Tokens, sender_of

SENDER = Sender(namespace="ml", service_account="medical-trainer", pod_name="medical-worker-0", pod_uid="p1")
POD = "authentication.kubernetes.io/pod"


def verdict(**changes: Any) -> dict[str, Any]:
    user = {
        "username": "system:serviceaccount:ml:medical-trainer",
        "extra": {f"{POD}-name": ["medical-worker-0"], f"{POD}-uid": ["p1"]},
    }
    return {
        "authenticated": True,
        "audiences": [PROGRESS_AUDIENCE],
        "user": user | changes.pop("user", {}),
        **changes,
    }


def test_a_pod_s_token_for_this_endpoint_names_the_pod() -> None:
    assert sender_of(verdict()) == SENDER


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"authenticated": False}, id="not authenticated"),
        pytest.param({"authenticated": None}, id="no verdict"),
        pytest.param({"audiences": ["https://kubernetes.default.svc"]}, id="for the API server"),
        pytest.param({"audiences": None}, id="for nobody"),
        pytest.param({"user": {"username": "admin"}}, id="a user's"),
        pytest.param({"user": {"username": "system:serviceaccount:ml"}}, id="half a name"),
        pytest.param({"user": {"extra": None}}, id="bound to no pod"),
        pytest.param({"user": {"extra": {f"{POD}-name": ["medical-worker-0"]}}}, id="no uid of a pod"),
    ],
)
def test_no_other_token_is_accepted(changes: dict[str, Any]) -> None:
    assert sender_of(verdict(**changes)) is None


class Reviewer:
    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer
        self.calls = 0

    async def review_token(self, token: str, audience: str) -> dict[str, Any]:
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def tokens(reviewer: Reviewer, time: list[float], *, burst: int = 100) -> Tokens:
    reviews = RateLimit(per_second=1.0, burst=burst, time=lambda: time[0])
    return Tokens(reviewer, reviews=reviews, time=lambda: time[0])


async def test_a_verdict_is_believed_for_a_short_time() -> None:
    reviewer, time = Reviewer(verdict()), [0.0]
    known = tokens(reviewer, time)
    for _ in range(3):
        assert await known.sender("t") == SENDER
    assert reviewer.calls == 1
    time[0] += ACCEPTED_SECONDS + 1
    await known.sender("t")
    assert reviewer.calls == 2


async def test_a_refusal_is_believed_shorter() -> None:
    reviewer, time = Reviewer({"authenticated": False}), [0.0]
    known = tokens(reviewer, time)
    for _ in range(2):
        with pytest.raises(BadReportError):
            await known.sender("t")
    assert reviewer.calls == 1
    time[0] += REFUSED_SECONDS + 1
    reviewer.answer = verdict()
    assert await known.sender("t") == SENDER


async def test_a_review_that_failed_is_no_verdict() -> None:
    reviewer, time = Reviewer(UnavailableError("down", what="")), [0.0]
    known = tokens(reviewer, time)
    with pytest.raises(UnavailableError):
        await known.sender("t")
    reviewer.answer = verdict()
    assert await known.sender("t") == SENDER


async def test_made_up_tokens_cannot_flood_the_api_server() -> None:
    reviewer, time = Reviewer({"authenticated": False}), [0.0]
    known = tokens(reviewer, time, burst=5)
    statuses = []
    for number in range(8):
        with pytest.raises(BadReportError) as caught:
            await known.sender(str(number))
        statuses.append(caught.value.status)
    assert statuses == [401] * 5 + [429] * 3
    assert reviewer.calls == 5
