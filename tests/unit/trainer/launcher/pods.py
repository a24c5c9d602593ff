"""Worker pods without a cluster: the launcher's own processes, meeting at a port of this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.prepare import prepare

from ..tiny_model import make_tiny_model

ROWS = [{"instruction": f"add {n}", "input": "", "output": f"{n + n}"} for n in range(60)]
PATIENCE = 420
"""Seconds; every pod imports torch twice, on a machine that may be busy."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


class Group:
    """The pods of one run, on one workspace."""

    def __init__(self, root: Path, config: RunConfig, *, least: int = 1, most: int = 4) -> None:
        self.layout = Layout(root)
        self.config = root / "run.json"
        self.rendezvous = {
            "PET_NNODES": f"{least}:{most}",
            "PET_NPROC_PER_NODE": "1",
            "PET_RDZV_BACKEND": "c10d",
            "PET_RDZV_ENDPOINT": f"127.0.0.1:{free_port()}",
            "PET_RDZV_ID": "run",
            "PET_RDZV_CONF": "last_call_timeout=2",
            "PET_MAX_RESTARTS": "20",
            "LLMFINETUNE_ATTEMPT": "1",
            "OMP_NUM_THREADS": "1",
        }
        root.mkdir(parents=True, exist_ok=True)
        self.config.write_text(config.model_dump_json(by_alias=True))
        self.pods: list[subprocess.Popen[bytes]] = []
        prepare(config, self.layout, token=None, progress=lambda line: None)

    def start(self) -> subprocess.Popen[bytes]:
        """One more pod."""
        command = [sys.executable, "-W", "ignore", "-m", "llmfinetune_trainer", "launch"]
        paths = ["--config", str(self.config), "--workspace", str(self.layout.root)]
        told = ["--termination-log", str(self.layout.root / f"ending-{len(self.pods)}.json")]
        with (self.layout.root / f"pod-{len(self.pods)}.log").open("wb") as log:
            pod = subprocess.Popen(
                [*command, *paths, *told],
                env={**os.environ, **self.rendezvous},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pods.append(pod)
        return pod

    def steps(self) -> list[dict[str, Any]]:
        """The steps of the history so far."""
        path = self.layout.logs / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        values = [json.loads(line) for line in lines if line.endswith("}")]
        return [value for value in values if "samples" in value]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"no {what}\n{self.logs()}"
            time.sleep(0.02)

    def until_step(self, step: int) -> None:
        """Waits until training has reached a step."""
        self.until(lambda: any(line["step"] >= step for line in self.steps()), f"step {step}")

    def kill_trainer(self, rank: int, number: signal.Signals) -> None:
        """Sends a signal to the training process of a rank."""
        for pid, _ in self._trainers(rank):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def pod_of(self, rank: int) -> subprocess.Popen[bytes]:
        """The pod whose training process has a rank."""
        return next(pod for _, pod in self._trainers(rank))

    def _trainers(self, rank: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
        pods = {pod.pid: pod for pod in self.pods}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_it = (entry / "comm").read_text().strip() == f"trainer-{rank}"
                pod = pods.get(os.getsid(int(entry.name)))
                if is_it and pod is not None:
                    yield int(entry.name), pod

    def wait(self) -> list[int]:
        """Exit codes of all pods."""
        return [pod.wait(PATIENCE) for pod in self.pods]

    def close(self) -> None:
        """Ends what is left."""
        for pod in self.pods:
            if pod.poll() is None:
                os.killpg(pod.pid, signal.SIGKILL)
                pod.wait()

    def logs(self) -> str:
        """The ends of what the pods said."""
        return "\n".join(path.read_text()[-3000:] for path in self.layout.root.glob("pod-*.log"))


def tiny_config(directory: Path, **training: Any) -> RunConfig:
    """A run of tiny steps, with dropout."""
    (directory / "data.json").write_text(json.dumps(ROWS), encoding="utf-8")
    model = directory / "model"
    return RunConfig.model_validate(
        {
            "name": "tiny",
            "model": {"source": str(model if model.exists() else make_tiny_model(model))},
            "dataset": {"source": str(directory / "data.json"), "validationSplit": 0.1},
            "method": {"lora": {"rank": 2, "dropout": 0.1}},
            "training": {"batchSize": 8, "learningRate": 0.01, "precision": "fp32", **training},
            "checkpoint": {"everySteps": 3},
        }
    )
