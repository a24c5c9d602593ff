"""Who sends a report: the API server's verdict on the bearer token, kept for a short time by its hash."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from llmfinetune_operator.constants import PROGRESS_AUDIENCE
from llmfinetune_operator.errors import BadReportError
from llmfinetune_operator.progress.reports import RateLimit

ACCEPTED_SECONDS: Final = 60.0
REFUSED_SECONDS: Final = 10.0
MAX_REMEMBERED: Final = 4096
EXTRA: Final = "authentication.kubernetes.io"


class TokenReviewer(Protocol):
    """Asks the API server about tokens."""

    async def review_token(self, token: str, audience: str) -> dict[str, Any]:
        """Return the status of a TokenReview."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """The pod that a token is bound to."""

    namespace: str
    service_account: str
    pod_name: str
    pod_uid: str


class Tokens:
    """Turns a bearer token into the pod it was issued for."""

    def __init__(self, reviewer: TokenReviewer, *, reviews: RateLimit, time: Callable[[], float]) -> None:
        self._reviewer = reviewer
        self._reviews = reviews
        self._time = time
        self._known: OrderedDict[bytes, tuple[float, Sender | None]] = OrderedDict()

    async def sender(self, token: str) -> Sender:
        """Return who the token was issued for.

        Raises:
            BadReportError: the token is not valid for the progress endpoint.
            ApiError: the API server could not be asked.
        """
        digest = sha256(token.encode()).digest()
        until, sender = self._known.get(digest, (0.0, None))
        if until <= self._time():
            if not self._reviews.allows(None):
                raise BadReportError("too many new tokens; try again later", status=429, result="limited")
            sender = sender_of(await self._reviewer.review_token(token, PROGRESS_AUDIENCE))
            self._remember(digest, sender)
        if sender is None:
            raise BadReportError(
                f"the bearer token is not a pod's token for the audience {PROGRESS_AUDIENCE}",
                status=401,
                result="unauthenticated",
            )
        return sender

    def _remember(self, digest: bytes, sender: Sender | None) -> None:
        lifetime = REFUSED_SECONDS if sender is None else ACCEPTED_SECONDS
        self._known[digest] = (self._time() + lifetime, sender)
        self._known.move_to_end(digest)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)


def sender_of(verdict: dict[str, Any]) -> Sender | None:
    """Return the pod that a TokenReview's status names; None where the token is no pod's, or not for us."""
    if not verdict.get("authenticated") or PROGRESS_AUDIENCE not in (verdict.get("audiences") or ()):
        return None
    user = verdict.get("user") or {}
    parts = str(user.get("username", "")).split(":")
    extra = user.get("extra") or {}
    pod_names, pod_uids = extra.get(f"{EXTRA}/pod-name"), extra.get(f"{EXTRA}/pod-uid")
    if parts[:2] != ["system", "serviceaccount"] or len(parts) != 4 or not pod_names or not pod_uids:
        return None
    return Sender(namespace=parts[2], service_account=parts[3], pod_name=pod_names[0], pod_uid=pod_uids[0])
