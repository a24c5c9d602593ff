"""An API server of a few lines: keeps what it is given, refuses what it is told to refuse."""

from typing import Any

from llmfinetune_operator.decision import Deletion
from llmfinetune_operator.errors import ApiError, ExistsError
from llmfinetune_operator.observed import ChildRef, Key, Object


class FakeCluster:
    def __init__(self) -> None:
        self.version = 100
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.events: list[Object] = []
        self.errors: dict[str, ApiError] = {}
        """By what is written: a kind, or `status`."""
        self.fresh: Object | None = None
        self.unwatched: dict[str, Object] = {}
        """By name: what is there although no watch tells of it."""
        self.vanishing = False
        """Whether that is gone as soon as somebody looks."""
        self.attempts: list[str] = []
        """Names of what was to be made and was there."""
        self.warning_events: list[Object] = []

    async def read(self, ref: ChildRef, namespace: str) -> Object | None:
        self.reads.append(ref.name)
        if self.vanishing:
            del self.unwatched[ref.name]
        return self.unwatched.get(ref.name)

    async def read_fine_tune(self, key: Key) -> Object | None:
        return self.fresh

    async def apply(self, obj: Object) -> Object:
        self._write(f"apply {obj['kind']}", obj["kind"])
        metadata = {"uid": f"uid-{obj['kind']}", **obj["metadata"], "resourceVersion": str(self.version)}
        return {**obj, "metadata": metadata}

    async def apply_new(self, obj: Object) -> Object:
        if obj["metadata"]["name"] in self.unwatched:
            self.attempts.append(obj["metadata"]["name"])
            raise ExistsError("there is one", what=f"PATCH {obj['kind']}", status=409)
        return await self.apply(obj)

    async def delete(self, deletion: Deletion, namespace: str) -> None:
        self._write(f"delete {deletion.ref.kind} {deletion.uid}", "delete")

    async def write_status(self, fine_tune: Object, status: dict[str, Any]) -> Object:
        self._write("status", "status")
        metadata = {**fine_tune["metadata"], "resourceVersion": str(self.version)}
        return {**fine_tune, "metadata": metadata, "status": status}

    async def warnings(self, namespace: str) -> list[Object]:
        self.reads.append(f"warnings in {namespace}")
        return self.warning_events

    async def post_event(self, event: Object) -> None:
        if "event" in self.errors:
            raise self.errors["event"]
        self.events.append(event)

    def _write(self, what: str, kind: str) -> None:
        self.writes.append(what)
        self.version += 1
        if kind in self.errors:
            raise self.errors[kind]
