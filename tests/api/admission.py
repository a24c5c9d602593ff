"""An admission webhook on loopback, as a test wants it to judge."""

import base64
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devcluster.apiserver import free_ports
from devcluster.pki import Authority
from tests.api.client import Json

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
Judge = Callable[[str, Json], Json]
"""From a path and a request to what the response says besides its uid."""


class AdmissionServer:
    """Has an address from the beginning, and answers at it while it is entered as a context."""

    def __init__(self, folder: Path, judge: Judge) -> None:
        authority = Authority(folder)
        authority.ensure()
        self._pair = authority.issue("webhook", "/CN=webhook", ["IP:127.0.0.1"])
        self._bundle = base64.b64encode(authority.certificate.read_bytes()).decode()
        self._judge = judge
        (self._port,) = free_ports(1)

    def client_config(self, path: str = "") -> Json:
        """Return how the API server reaches it."""
        return {"url": f"https://127.0.0.1:{self._port}/{path}", "caBundle": self._bundle}

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self._judge))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair.certificate, self._pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(judge: Judge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = review["request"]
            answer = {
                "apiVersion": "admission.k8s.io/v1",
                "kind": "AdmissionReview",
                "response": {"uid": request["uid"], **judge(self.path, request)},
            }
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the base class
            """Say nothing: every request is one of the tests'."""

    return Handler
