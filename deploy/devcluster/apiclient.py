"""The few requests that this package makes to an API server itself, over the standard library.

Everything else goes through kubectl; this exists for readiness, which is asked many times a second.
"""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devcluster.pki import KeyPair

REQUEST_SECONDS = 5.0


class ApiClient:
    """Sends requests with a client certificate."""

    def __init__(self, url: str, authority: Path, client: KeyPair, *, keep_alive: bool = False) -> None:
        self._host = urlsplit(url).netloc
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.load_cert_chain(str(client.certificate), str(client.key))
        self._keep_alive = keep_alive
        self._open: http.client.HTTPSConnection | None = None

    def request(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """Return status and body; status 0 when the server cannot be reached."""
        payload = None if body is None else json.dumps(body)
        connection = self._open or http.client.HTTPSConnection(
            self._host, context=self._context, timeout=REQUEST_SECONDS
        )
        self._open = None
        try:
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            status, text = response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0, ""
        if self._keep_alive:
            self._open = connection
        else:
            connection.close()
        return status, text

    def exists(self, path: str) -> bool:
        """Say whether the server answers that path with success."""
        return self.request("GET", path)[0] == 200

    def get_object(self, path: str) -> dict[str, Any] | None:
        """Return the object (or list) at that path, or None."""
        status, body = self.request("GET", path)
        return dict(json.loads(body)) if status == 200 else None
