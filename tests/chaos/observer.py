"""The pod beside a fine-tune's volume through which the suite sees and damages what lies there."""

from pathlib import Path
from typing import NamedTuple

from demo.kubectl import Namespace
from demo.objects import pod
from demo.stack import trainer_image
from tests.chaos.timeline import Timeline

PROGRAMS = Path(__file__).with_name("in_pod")


class Observer(NamedTuple):
    """One pod that watches one volume."""

    namespace: Namespace
    pod: str

    @classmethod
    def start(cls, namespace: Namespace, fine_tune: str, *, claim: str | None = None) -> "Observer":
        """Starts watching a fine-tune's own claim, or its directory on another."""
        name, claim, sub_path = f"{fine_tune}-observer", claim or fine_tune, fine_tune if claim else ""
        command = ["python3", "-u", "-c", program("watch_history")]
        image = trainer_image(namespace)
        manifest = pod(name, image=image, command=command, claims={claim: "/workspace"})
        if sub_path:
            mounts = manifest["spec"]["containers"][0]["volumeMounts"]
            next(mount for mount in mounts if mount["name"] == claim)["subPath"] = sub_path
        namespace.apply(manifest)
        namespace.run("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s", timeout=140)
        return cls(namespace, name)

    def timeline(self) -> Timeline:
        """Everything seen so far."""
        return Timeline.parse(self.namespace.run("logs", self.pod))

    def now(self) -> float:
        """The time by the clock that the timeline goes by."""
        return float(self.namespace.run("exec", self.pod, "--", "date", "+%s.%N"))

    def run(self, name: str) -> str:
        """Runs one of the programs of `in_pod` here, on the volume."""
        return self.namespace.run("exec", self.pod, "--", "python3", "-c", program(name))

    def read(self, path: str) -> str:
        """Returns a text file on the volume."""
        return self.namespace.run("exec", self.pod, "--", "cat", f"/workspace/{path}")

    def remove(self, path: str) -> None:
        """Removes a file from the volume."""
        self.namespace.run("exec", self.pod, "--", "rm", f"/workspace/{path}")

    def stop(self) -> None:
        """Removes the pod."""
        self.namespace.run("delete", "pod", self.pod, "--ignore-not-found", "--wait=false")


def program(name: str) -> str:
    """Returns the text of a program that runs inside of pods."""
    return (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
