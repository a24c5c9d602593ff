"""The progress endpoint: checks who reports about what, and leaves the report for the next reconcile.

The contract is Kubeflow Trainer's (KEP-2779): POST, JSON, a bearer token, at most 64 kB. Nothing here writes
to the API server.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from aiohttp import web

from llmfinetune_operator.constants import LABEL_NAME, PROGRESS_PATH
from llmfinetune_operator.errors import ApiError, BadReportError
from llmfinetune_operator.observed import Key, Object
from llmfinetune_operator.progress.body import parse_body, report_of
from llmfinetune_operator.progress.reports import RateLimit, Reports
from llmfinetune_operator.progress.tokens import Sender, Tokens
from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.pod import attempt_of_pod
from llmfinetune_trainer.config.messages import MAX_BODY_BYTES

logger = logging.getLogger(__name__)


class Pods(Protocol):
    """Knows the pods of each fine-tune."""

    def pods(self, key: Key) -> tuple[Object, ...]:
        """Return the fine-tune's pods."""


class ProgressServer:
    """Answers report requests. What is accepted goes into `reports`, and its key to `notify`."""

    def __init__(
        self,
        *,
        pods: Pods,
        tokens: Tokens,
        reports: Reports,
        limit: RateLimit,
        notify: Callable[[Key], object],
        count: Callable[[str], object],
        is_ready: Callable[[], bool],
    ) -> None:
        self._pods = pods
        self._tokens = tokens
        self._reports = reports
        self._limit = limit
        self._notify = notify
        self._count = count
        self._is_ready = is_ready

    def application(self) -> web.Application:
        """Return the web application to serve."""
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_post(PROGRESS_PATH, self.handle)
        return application

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one report."""
        key = Key(request.match_info["namespace"], request.match_info["name"])
        try:
            result = await self._receive(key, request)
        except BadReportError as error:
            self._count(error.result)
            logger.info("report refused", extra={"key": key, "reason": str(error)})
            return _answer(error.status, str(error))
        except ApiError as error:
            self._count("unavailable")
            logger.warning("cannot review a token", extra={"key": key, "reason": str(error)})
            return _answer(503, "the API server cannot review the token now; try again later")
        self._count(result)
        return _answer(200, result)

    async def _receive(self, key: Key, request: web.Request) -> str:
        if not self._is_ready():
            raise BadReportError(
                "the operator is starting; try again later", status=503, result="unavailable"
            )
        sender = await self._tokens.sender(bearer_token(request.headers))
        pod = self._pod_of(key, sender)
        if not self._limit.allows(key):
            raise BadReportError("too many reports about this fine-tune", status=429, result="limited")
        attempt = attempt_of_pod(pod)
        report = report_of(parse_body(await read_body(request)), attempt=attempt)
        if attempt not in ("", report.attempt):
            return "stale"
        if self._reports.receive(key, report):
            self._notify(key)
        return "accepted"

    def _pod_of(self, key: Key, sender: Sender) -> Object:
        """Return the sending pod, if it is one of the fine-tune that the request names."""
        if (sender.namespace, sender.service_account) == (key.namespace, names.service_account(key.name)):
            for pod in self._pods.pods(key):
                metadata = pod["metadata"]
                if (metadata["name"], metadata["uid"]) == (sender.pod_name, sender.pod_uid):
                    return pod
        raise BadReportError(
            f"pod {sender.namespace}/{sender.pod_name} is no pod of the fine-tune {key.namespace}/{key.name}"
            f" (its label {LABEL_NAME} and its service account say whose it is)",
            status=403,
            result="forbidden",
        )


def bearer_token(headers: Mapping[str, str]) -> str:
    """Return the request's bearer token.

    Raises:
        BadReportError: there is none.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BadReportError(
            "give the pod's token: Authorization: Bearer <token>", status=401, result="unauthenticated"
        )
    return token.strip()


async def read_body(request: web.Request) -> bytes:
    """Return the request's body.

    Raises:
        BadReportError: it is larger than a report may be.
    """
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise BadReportError(
            f"the body is larger than {MAX_BODY_BYTES} bytes", status=413, result="too-large"
        ) from error


def _answer(status: int, message: str) -> web.Response:
    return web.json_response({"status": status, "message": message}, status=status)
