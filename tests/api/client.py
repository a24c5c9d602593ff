"""Two ways to talk to the API server under test: kubectl as users do, and bare requests."""

import base64
import http.client
import json
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Json = dict[str, Any]


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl and returns what it prints."""

    program: Path
    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Return the standard output; a failure raises AssertionError with the error output."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Return the finished process, whatever its exit code."""
        command = [self.program, "--kubeconfig", self.kubeconfig, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=30)


class Answer(NamedTuple):
    """What the API server answered."""

    status: int
    body: Json


class Client:
    """Sends bare requests with the certificate of a kubeconfig; `folder` takes the certificate's files."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        files = {
            "ca": cluster["certificate-authority-data"],
            "crt": user["client-certificate-data"],
            "key": user["client-key-data"],
        }
        for name, data in files.items():
            (folder / name).write_bytes(base64.b64decode(data))
        self._host = urlsplit(cluster["server"]).netloc
        self._context = ssl.create_default_context(cafile=str(folder / "ca"))
        self._context.load_cert_chain(folder / "crt", folder / "key")

    def request(
        self,
        method: str,
        path: str,
        body: Json | str | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """Send one request. A `body` of type str is sent as it is."""
        connection = http.client.HTTPSConnection(self._host, context=self._context, timeout=10)
        payload = body if isinstance(body, str) else json.dumps(body)
        try:
            connection.request(
                method,
                path,
                None if body is None else payload.encode(),
                {"Content-Type": content_type, "Accept": accept},
            )
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()))
        finally:
            connection.close()
