"""A fine-tune on a real cluster to which faults happen, and the means to make them happen."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from demo.kubectl import Namespace, Object
from devcluster.errors import DevClusterError
from tests.chaos.observer import Observer, program
from tests.chaos.timeline import Moment, Timeline
from tests.e2e.session import Session, condition, phase

TIMEOUT = 240.0
POLL_SECONDS = 0.5
FEWEST_STEPS_LEFT = 20
"""A fault strikes no later than this before the last step: training is to be there when it does."""
TRAINING_OPERATOR = ("kubeflow", "training-operator")
OPERATOR = ("llmfinetune-system", "llmfinetune-operator")


class TrainingEndedError(Exception):
    """The last step came before every fault was injected."""


class Victim(NamedTuple):
    """One fine-tune that trains."""

    session: Session
    name: str
    observer: Observer
    manifest: Object
    total_steps: int

    @property
    def namespace(self) -> Namespace:
        """Where it lives."""
        return self.session.namespace

    def get(self) -> Object:
        """The fine-tune; asked for again while the API server is away."""
        found: list[Object] = []
        self.wait("an answer of the API server", lambda: not found.append(self.session.get(self.name)))
        return found[-1]

    def moment(self) -> Moment:
        """How far training is now."""
        return self.observer.timeline().at(self.observer.now())

    def wait(self, what: str, holds: Callable[[], bool], *, timeout: float = TIMEOUT) -> None:
        """Waits until something holds; what cannot be asked does not hold yet.

        Raises:
            AssertionError: it did not come to hold in time; the message tells the status.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with suppress(DevClusterError):
                if holds():
                    return
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{self.name}: no {what} in {timeout:.0f} s; {self._told()}")

    def wait_for(self, what: str, holds: Callable[[Object], bool], *, timeout: float = TIMEOUT) -> None:
        """Waits until something holds of the fine-tune."""
        self.wait(what, lambda: holds(self.session.get(self.name)), timeout=timeout)

    def wait_for_steps(self, count: int) -> None:
        """Lets training go on for some steps, and until there is a checkpoint.

        Raises:
            TrainingEndedError: there are not so many left.
        """
        first = self.observer.timeline().last()

        def is_there(timeline: Timeline) -> bool:
            if timeline.last() + FEWEST_STEPS_LEFT > self.total_steps:
                raise TrainingEndedError(f"{self.name}: {self.total_steps} steps are too few here")
            return timeline.last() >= first + count and bool(timeline.saves)

        self.wait(f"{count} further steps", lambda: is_there(self.observer.timeline()))

    def scale(self, replicas: int) -> None:
        """Asks for another number of workers, as a user or an autoscaler does."""
        self.namespace.run("scale", "llmfinetune", self.name, f"--replicas={replicas}")

    def kill_pods(self, *names: str) -> None:
        """Ends pods at once, with no time for anything."""
        self.namespace.run("delete", "pod", *names, "--grace-period=0", "--force")

    def worker(self, index: int) -> str:
        """Name of a worker's pod."""
        return f"{self.name}-worker-{index}"

    def workers(self) -> list[str]:
        """Names of all workers' pods that are not being deleted."""
        return [pod["metadata"]["name"] for pod in self.session.workers(self.name)]

    def signal(self, signal: str, *, rank: int | None = None) -> None:
        """Signals the training process of one rank, or of one worker whatever its rank."""
        wanted = "any" if rank is None else str(rank)
        for worker in self.workers():
            arguments = ("exec", worker, "-c", "pytorch", "--", "python3", "-c", program("signal_trainer"))
            if self.namespace.run(*arguments, wanted, signal).strip():
                return
        raise AssertionError(f"{self.name}: no worker has a training process of rank {wanted}")

    def deploy(self, deployment: tuple[str, str], *, replicas: int) -> None:
        """Sets how many pods a program of the control plane has, and returns when it has them."""
        namespace, name = deployment
        place = self.namespace.to(namespace)
        place.run("scale", f"deployment/{name}", f"--replicas={replicas}")
        place.run("rollout", "status", f"deployment/{name}", "--timeout=180s", timeout=200)
        if replicas == 0:
            self.wait("end of the pods", lambda: not place.get("pods")["items"])

    def _told(self) -> str:
        with suppress(DevClusterError):
            found = self.session.get(self.name)
            return f"it is {phase(found)}: {condition(found, 'Ready').get('message', '')}"
        return "its status cannot be read"
