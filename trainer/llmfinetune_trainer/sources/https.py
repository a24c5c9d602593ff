"""Downloads over https, accepted only with the digest that the manifest names."""

import hashlib
import http.client
import shutil
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Final

from llmfinetune_trainer.atomic import TEMPORARY_PREFIX, sync
from llmfinetune_trainer.config.source import Source
from llmfinetune_trainer.errors import RunError, disk_full, network_error
from llmfinetune_trainer.sources.context import FetchContext, Kind, access_error

TIMEOUT_SECONDS: Final = 60
PIECE_BYTES: Final = 1 << 20
SPARE_BYTES: Final = 64 << 20
"""What a download leaves free on the volume."""


def download(source: Source, kind: Kind, context: FetchContext) -> Path:
    """The file that an https source names, from the cache or from its server.

    Raises:
        RunError: the server does not deliver it, its digest is another, or the volume has no room.
    """
    assert source.sha256 is not None  # the parser refuses an https source without digest
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(source.name).path)).name or "download"
    target = context.layout.cache / "downloads" / source.sha256 / name
    if target.exists():
        return target
    if context.offline:
        raise access_error(
            kind,
            "NotInCache",
            f"{source.name} was not downloaded before, and this run is offline",
            hint="run `llmfinetune prepare` once with access to it, or name a local path",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{TEMPORARY_PREFIX}{name}"
    context.progress(f"downloading {source.name}")
    try:
        found = _fetch(source, temporary, kind)
        if found != source.sha256:
            raise _mismatch(source, found, kind)
        sync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _fetch(source: Source, target: Path, kind: Kind) -> str:
    """Writes what the server sends to a file; returns its digest."""
    try:
        with urllib.request.urlopen(source.name, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - https only
            return _copy(response, target, source)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(source, error, kind) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise access_error(
                kind,
                "CertificateInvalid",
                f"the certificate of {source.name} is not trusted: {error.reason.verify_message}",
                hint="use a server with a certificate of a known authority, or name yours in SSL_CERT_FILE",
            ) from None
        raise _unreachable(source, error.reason) from None
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _unreachable(source, error) from None


def _copy(response: http.client.HTTPResponse, target: Path, source: Source) -> str:
    length = response.length
    free = shutil.disk_usage(target.parent).free - SPARE_BYTES
    if (length or 0) > free:
        raise disk_full(target.parent, f"{source.name} has {length} bytes, {max(free, 0)} are free")
    digest, written = hashlib.sha256(), 0
    with target.open("wb") as file:
        while piece := response.read(PIECE_BYTES):
            written += len(piece)
            if written > free:
                raise disk_full(target.parent, f"{source.name} has more than the {free} bytes that are free")
            digest.update(piece)
            file.write(piece)
    if response.length:
        raise ConnectionError(f"connection closed after {written} bytes")
    return digest.hexdigest()


def _mismatch(source: Source, found: str, kind: Kind) -> RunError:
    return access_error(
        kind,
        "DigestMismatch",
        f"{source.name} has sha256 {found}, but spec.{kind}.source says {source.sha256}",
        hint="the file has changed: check that it is the one you want, then put its digest behind #sha256=",
    )


def _refused(source: Source, error: urllib.error.HTTPError, kind: Kind) -> RunError:
    message = f"{source.name}: the server answers {error.code} {error.reason}"
    if error.code >= 500 or error.code in {408, 429}:
        return network_error("ServerUnavailable", message, hint="try again later")
    return access_error(kind, "DownloadRefused", message, hint=f"correct the address in spec.{kind}.source")


def _unreachable(source: Source, reason: object) -> RunError:
    return network_error(
        "ServerUnreachable",
        f"cannot download {source.name}: {reason}",
        hint="check the address, and that this machine or pod may reach it (proxy, NetworkPolicy, DNS)",
    )
