"""The progress endpoint's TLS: a certificate that is replaced in time, without closing the server."""

import asyncio
import ssl
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from llmfinetune_operator.progress.authority import Authority
from llmfinetune_operator.settings import Settings

LONGEST_SLEEP: Final = 3600.0
"""Seconds; short, so that a clock that was set forward is noticed."""


class ServingCertificate:
    """An SSL context for servers, with a certificate that `renew_forever` keeps fresh."""

    def __init__(self, authority: Authority, names: list[str], *, clock: Callable[[], datetime]) -> None:
        self._authority = authority
        self._names = names
        self._clock = clock
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.renew_at = self.renew()

    def renew(self) -> datetime:
        """Use a fresh certificate from the next handshake on, and return when to do so again."""
        pem, self.renew_at = self._authority.issue(self._names, now=self._clock())
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "serving.pem"
            path.touch(mode=0o600)
            path.write_text(pem)
            self.context.load_cert_chain(path)
        return self.renew_at

    async def renew_forever(self) -> None:
        """Replace the certificate whenever it is time."""
        while True:
            remaining = (self.renew_at - self._clock()).total_seconds()
            if remaining <= 0:
                self.renew()
            else:
                await asyncio.sleep(min(remaining, LONGEST_SLEEP))


def serving_names(settings: Settings) -> list[str]:
    """Return the DNS names under which pods may reach the endpoint, the one that they are given first."""
    service = f"{settings.progress_service}.{settings.operator_namespace}"
    return list(dict.fromkeys((settings.progress_host, f"{service}.svc", service, "localhost")))
