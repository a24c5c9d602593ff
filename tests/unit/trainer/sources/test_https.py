"""Downloads over https: digest, certificate, room, refusals."""

import hashlib
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.source import Source, parse_source
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.sources.context import FetchContext
from llmfinetune_trainer.sources.https import download

from .servers import Answer, make_certificate, serving

BODY = b'[{"text": "hello"}]'
DIGEST = hashlib.sha256(BODY).hexdigest()
ANSWERS = {
    "/data/my rows.json": Answer(BODY),
    "/cut": Answer(BODY, announced=len(BODY) + 5),
    "/huge": Answer(BODY, announced=1 << 60),
    "/busy": Answer(b"", 503),
}


class Server(NamedTuple):
    address: str
    certificate: Path

    def source(self, path: str, digest: str = DIGEST) -> Source:
        return parse_source(f"{self.address}{path}#sha256={digest}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    certificate = make_certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(ANSWERS, context) as address:
        yield Server(address, certificate)


@pytest.fixture
def trusted(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    return server


@pytest.fixture
def context(tmp_path: Path) -> FetchContext:
    return FetchContext(Layout(tmp_path), lambda _: None)


def failure(source: Source, context: FetchContext) -> RunError:
    with pytest.raises(RunError) as raised:
        download(source, "dataset", context)
    assert not [path for path in context.layout.cache.rglob("*") if path.is_file()]
    return raised.value


def test_a_file_is_fetched_once_and_keeps_its_name(trusted: Server, context: FetchContext) -> None:
    path = download(trusted.source("/data/my%20rows.json"), "dataset", context)
    assert (path.name, path.read_bytes()) == ("my rows.json", BODY)
    offline = context._replace(offline=True)
    assert download(trusted.source("/data/my%20rows.json"), "dataset", offline) == path


def test_another_digest_shows_both(trusted: Server, context: FetchContext) -> None:
    error = failure(trusted.source("/data/my%20rows.json", "0" * 64), context)
    assert error.failure.reason == "DigestMismatch"
    assert DIGEST in str(error)
    assert "0" * 64 in str(error)


@pytest.mark.parametrize(
    ("path", "reason", "exit_code"),
    [
        pytest.param("/absent", "DownloadRefused", exit_codes.USER_ERROR, id="not found"),
        pytest.param("/busy", "ServerUnavailable", exit_codes.RETRYABLE, id="unavailable"),
        pytest.param("/cut", "ServerUnreachable", exit_codes.RETRYABLE, id="connection cut"),
        pytest.param("/huge", "NoSpaceLeft", exit_codes.DISK_FULL, id="more than the disk holds"),
    ],
)
def test_refusals(trusted: Server, context: FetchContext, path: str, reason: str, exit_code: int) -> None:
    error = failure(trusted.source(path), context)
    assert (error.failure.reason, error.exit_code) == (reason, exit_code)
    assert error.failure.retryable is (exit_code == exit_codes.RETRYABLE)


def test_a_body_of_unknown_length_is_bounded_too(
    trusted: Server, context: FetchContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(context.layout.root)._replace(free=64 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert failure(trusted.source("/data/my%20rows.json"), context).failure.category == "DiskFull"


def test_an_unknown_authority_is_not_trusted(server: Server, context: FetchContext) -> None:
    assert failure(server.source("/data/my%20rows.json"), context).failure.reason == "CertificateInvalid"


def test_nobody_listening_is_worth_another_try(context: FetchContext) -> None:
    error = failure(parse_source(f"https://localhost:1/x#sha256={DIGEST}"), context)
    assert (error.failure.category, error.failure.retryable) == ("Network", True)


def test_offline_without_an_earlier_download(context: FetchContext) -> None:
    source = parse_source(f"https://localhost:1/x#sha256={DIGEST}")
    assert failure(source, context._replace(offline=True)).failure.reason == "NotInCache"
