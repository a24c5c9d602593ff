"""The real operator as a child process: started, asked for its metrics, stopped."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Self, TypeVar

from devcluster.apiserver import free_ports

T = TypeVar("T")
REPOSITORY = Path(__file__).parents[3]
SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def eventually(look: Callable[[], T], *, timeout: float = 60.0, interval: float = 0.1) -> T:
    """Return what `look` returns as soon as it is true; fail with its last answer when it never is."""
    give_up_at = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < give_up_at, f"after {timeout} s still {found!r}"
        time.sleep(interval)


class OperatorProcess:
    """One operator. As a context it is stopped at the end, and must end well."""

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *options: str,
        env: Mapping[str, str] | None = None,
        module: str = "llmfinetune_operator",
    ) -> None:
        self.http_port, self.progress_port = free_ports(2)
        self.log = log
        self._command = [
            *(sys.executable, "-m", module, "--log-format", "text"),
            *("--http-port", str(self.http_port), "--progress-port", str(self.progress_port), *options),
        ]
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LLMFINETUNE_")},
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": os.pathsep.join(str(REPOSITORY / each) for each in ("operator", "trainer", "")),
            "LLMFINETUNE_TRAINER_IMAGE": "example.com/trainer:1",
            **(env or {}),
        }

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def start(self) -> Self:
        """Start, and return when the operator is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log)
        eventually(lambda: self.get("/readyz")[0] == 200 or self._fail_if_ended(), timeout=120)
        return self

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def kill(self) -> None:
        """End it at once, as a node that goes away does."""
        self._process.kill()
        self._process.wait(10)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of one of its plain HTTP pages; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=5)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        return 0, ""

    def samples(self, name: str) -> dict[str, float]:
        """Return the samples of one metric by their labels' values, joined with slashes."""
        found = (each for each in SAMPLE.finditer(self.get("/metrics")[1]) if each["name"] == name)
        return {
            "/".join(value for _, value in LABEL.findall(each["labels"] or "")): float(each["value"])
            for each in found
        }

    def num_writes(self) -> int:
        """Return how many writes it has sent, token reviews left out."""
        requests = self.samples("llmfinetune_operator_api_requests_total")
        return int(sum(value for labels, value in requests.items() if not labels.endswith("/GET")))

    def num_requests(self) -> int:
        """Return how many requests it has sent, watches left out."""
        return int(sum(self.samples("llmfinetune_operator_api_requests_total").values()))

    def resident_bytes(self) -> int:
        """Return the memory it has now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(kilobytes) * 1024

    def _fail_if_ended(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        if self._process.poll() is None:
            code = self.stop()
            assert kind is not None or code == 0, self.log.read_text()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def token_kubeconfig(admin: Path, token: str, target: Path) -> Path:
    """Write a kubeconfig like `admin` whose user has nothing but a token."""
    document = json.loads(admin.read_text())
    document["users"][0]["user"] = {"token": token}
    target.touch(mode=0o600)
    target.write_text(json.dumps(document))
    return target
