"""kubectl in one namespace: the demonstration shows what a user would type, so it types it."""

import json
from typing import Any, NamedTuple

from devcluster.kubectl import Kubectl

Object = dict[str, Any]


class Namespace(NamedTuple):
    """One namespace of a cluster. Errors are devcluster's, and quote what kubectl said."""

    kubectl: Kubectl
    name: str

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Runs kubectl to its end and returns its standard output."""
        return self.kubectl("--namespace", self.name, *arguments, input_text=stdin, timeout=timeout)

    def get(self, *arguments: str) -> Object:
        """Returns `kubectl get … -o json`, parsed."""
        parsed: Object = json.loads(self.run("get", *arguments, "-o", "json"))
        return parsed

    def apply(self, *objects: Object) -> None:
        """Applies objects server-side under a field manager of their own."""
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        flags = ("--server-side", "--force-conflicts", "--field-manager=llmfinetune-demo")
        self.run("apply", *flags, "-f", "-", stdin=document)

    def to(self, name: str) -> "Namespace":
        """Returns another namespace of the same cluster."""
        return self._replace(name=name)
