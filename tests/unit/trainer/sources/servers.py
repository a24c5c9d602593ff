"""Servers for tests: https with an authority of its own, and the used parts of the Hugging Face hub."""

import datetime
import hashlib
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Answer(NamedTuple):
    """What a path is answered with."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = {}
    announced: int | None = None
    """Content-Length, where it is to be other than the body's."""


@contextmanager
def serving(answers: Mapping[str, Answer], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serves answers by path on a free port; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            answer = answers.get(unquote(urlsplit(self.path).path), Answer(b"", 404))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(answer.announced or len(answer.body)))
            self.end_headers()
            if with_body:
                self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificate(directory: Path) -> Path:
    """A self-signed certificate for localhost with its key, in one PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "server.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


def hub_answers(kind: str, repository: str, files: Mapping[str, bytes]) -> dict[str, Answer]:
    """What the hub answers for one repository with one commit."""
    listing = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
    info = Answer(json.dumps(listing).encode(), headers={"Content-Type": "application/json"})
    tree = [
        {"type": "file", "path": name, "size": len(body), "oid": "0" * 40} for name, body in files.items()
    ]
    prefix = "" if kind == "model" else "/datasets"
    answers = {
        f"/api/{kind}s/{repository}/revision/main": info,
        f"/api/{kind}s/{repository}/revision/{COMMIT}": info,
        f"/api/{kind}s/{repository}/tree/{COMMIT}": Answer(
            json.dumps(tree).encode(), headers={"Content-Type": "application/json"}
        ),
    }
    for name, body in files.items():
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}
        answers[f"{prefix}/{repository}/resolve/{COMMIT}/{name}"] = Answer(body, headers=headers)
    return answers
