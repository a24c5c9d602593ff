"""Requests to the API server: JSON in, JSON out, failures as this program's own errors."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from llmfinetune_operator.errors import (
    ApiError,
    ConflictError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
)

REQUEST_SECONDS: Final = 30.0
MAX_MESSAGE: Final = 1000
USER_AGENT: Final = "llmfinetune-operator"

ERRORS: Final[Mapping[int, type[ApiError]]] = {
    401: UnavailableError,  # a rotated token is read again before the next request
    404: NotFoundError,
    408: UnavailableError,
    409: ConflictError,
    410: ConflictError,
    429: UnavailableError,
}

CountRequest = Callable[[str, str], None]


async def load_configuration(kubeconfig: str | None = None) -> Configuration:
    """Return how to reach the API server: by this kubeconfig, from the pod, or else by KUBECONFIG.

    Raises:
        UsageError: there is neither.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(kubeconfig, client_configuration=configuration)
    except config.ConfigException as error:
        raise UsageError(
            f"no API server to talk to: {error}; run in a pod with a service account, or set KUBECONFIG"
        ) from error
    configuration.proxy = configuration.proxy or proxy_of_environment(configuration.host)
    # Asked to heed the environment, aiohttp does so by two threads and a file at every request.
    configuration.client_session_kwargs = {"trust_env": False}
    return configuration


def proxy_of_environment(url: str) -> str | None:
    """Return the proxy that the environment names for a URL."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


class Connection:
    """Sends requests with the operator's credentials over a shared pool of connections."""

    def __init__(
        self, configuration: Configuration, *, count: CountRequest = lambda verb, code: None
    ) -> None:
        self._configuration = configuration
        self._client = RESTClientObject(configuration)
        self._count = count

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def request(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any]:
        """Send one request and return the decoded answer.

        Raises:
            ApiError: it failed; the subclass says what has to follow.
        """
        status, headers, text = await self._exchange(
            verb,
            path,
            query=query or {},
            headers={"Content-Type": content_type, "Accept": accept, "User-Agent": USER_AGENT},
            body=body,
        )
        self._count(verb, str(status))
        if 200 <= status < 300:
            return dict(json.loads(text))
        raise error_of(status, text, headers, f"{verb} {path}")

    async def _exchange(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: dict[str, str],
        body: Mapping[str, Any] | None,
    ) -> tuple[int, Mapping[str, str], str]:
        try:
            token = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
            response = await self._client.request(
                verb,
                f"{self._configuration.host}{path}{'?' if query else ''}{urlencode(query)}",
                headers={**headers, "Authorization": token} if token else headers,
                body=body,
                _request_timeout=REQUEST_SECONDS,
            )
            text = (await response.read()).decode(errors="replace")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._count(verb, "none")
            raise UnavailableError(str(error) or type(error).__name__, what=f"{verb} {path}") from error
        return response.status, response.headers, text


def error_of(status: int, text: str, headers: Mapping[str, str], what: str) -> ApiError:
    """Return the error for an answer that is not a success."""
    kind = ERRORS.get(status, UnavailableError if status >= 500 else RefusedError)
    return kind(message_of(text), what=what, status=status, retry_after=retry_after(headers))


def message_of(text: str) -> str:
    """Return what the server said: the message of its Status, or the start of the text."""
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    return str(said.get("message", "") if isinstance(said, dict) else said)[:MAX_MESSAGE]


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that the server asks to wait, 0 where it does not."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0
