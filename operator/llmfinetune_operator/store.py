"""The last seen state of every fine-tune, child and pod: what a reconcile reads instead of asking the server.

Fed by the watches (`handlers`), by the operator's own writes and by the audit, in any order: of two states of
one object the newer resourceVersion stays, and what was deleted does not come back.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmfinetune_operator.constants import GROUP, KIND, LABEL_NAME
from llmfinetune_operator.observed import ChildRef, Key, Object

MAX_TOMBSTONES: Final = 10_000


class Store:
    """Objects by fine-tune. Everything it hands out is shared: treat it as read-only."""

    def __init__(self) -> None:
        self._fine_tunes: dict[Key, Object] = {}
        self._children: dict[Key, dict[ChildRef, Object]] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def fine_tune(self, key: Key) -> Object | None:
        """Return the fine-tune as last seen."""
        return self._fine_tunes.get(key)

    def fine_tunes(self) -> Iterator[tuple[Key, Object]]:
        """Go through every fine-tune."""
        return iter(list(self._fine_tunes.items()))

    def children(self, key: Key) -> Mapping[ChildRef, Object]:
        """Return every object but pods that carries the fine-tune's label."""
        return {ref: child for ref, child in self._all(key).items() if ref.kind != "Pod"}

    def pods(self, key: Key) -> tuple[Object, ...]:
        """Return the fine-tune's pods, in order of name."""
        found = [(ref.name, child) for ref, child in self._all(key).items() if ref.kind == "Pod"]
        return tuple(pod for _, pod in sorted(found, key=lambda item: item[0]))

    def objects(self, api_version: str, kind: str) -> list[Object]:
        """Return every object of a kind."""
        if is_fine_tune(api_version, kind):
            return list(self._fine_tunes.values())
        everything = (item for children in self._children.values() for item in children.items())
        return [child for ref, child in everything if (ref.api_version, ref.kind) == (api_version, kind)]

    def put(self, obj: Object) -> Key | None:
        """Take in a state of an object, and return the fine-tune it belongs to, if any."""
        key = key_of(obj)
        if key is None or obj["metadata"].get("uid") in self._deleted:
            return key
        if is_fine_tune(obj["apiVersion"], obj["kind"]):
            self._fine_tunes[key] = newer(self._fine_tunes.get(key), obj)
        else:
            children = self._children.setdefault(key, {})
            ref = ref_of(obj)
            children[ref] = newer(children.get(ref), obj)
        return key

    def remove(self, obj: Object) -> Key | None:
        """Forget an object that is gone, and return the fine-tune it belonged to. A namesake of it stays."""
        key = key_of(obj)
        if key is None:
            return None
        self._bury(obj)
        if is_fine_tune(obj["apiVersion"], obj["kind"]):
            if same_uid(self._fine_tunes.get(key), obj):
                del self._fine_tunes[key]
            return key
        children = self._children.get(key, {})
        if same_uid(children.get(ref_of(obj)), obj):
            del children[ref_of(obj)]
            if not children:
                del self._children[key]
        return key

    def _all(self, key: Key) -> Mapping[ChildRef, Object]:
        return self._children.get(key, {})

    def _bury(self, obj: Object) -> None:
        self._deleted[str(obj["metadata"].get("uid"))] = None
        while len(self._deleted) > MAX_TOMBSTONES:
            self._deleted.popitem(last=False)


def key_of(obj: Object) -> Key | None:
    """Return the fine-tune that an object is, or carries the label of."""
    metadata = obj["metadata"]
    if is_fine_tune(obj["apiVersion"], obj["kind"]):
        return Key(metadata["namespace"], metadata["name"])
    name = (metadata.get("labels") or {}).get(LABEL_NAME)
    return Key(metadata["namespace"], name) if name and "namespace" in metadata else None


def ref_of(obj: Object) -> ChildRef:
    """Return what identifies an object in its namespace."""
    return ChildRef(obj["apiVersion"], obj["kind"], obj["metadata"]["name"])


def is_fine_tune(api_version: str, kind: str) -> bool:
    """Say whether that is this operator's own kind."""
    return kind == KIND and api_version.startswith(f"{GROUP}/")


def slim(obj: Mapping[str, Any]) -> Object:
    """Return the object without the records of field managers, which are half of it and nobody here reads."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": metadata}


def newer(known: Object | None, obj: Object) -> Object:
    """Return the newer state of one object; of two objects with one name the one that is taken in last."""
    if known is not None and same_uid(known, obj) and version_of(known) > version_of(obj):
        return known
    return slim(obj)


def version_of(obj: Object) -> int:
    """Return the resourceVersion; the API server counts it up."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def same_uid(known: Object | None, obj: Object) -> bool:
    """Say whether both are states of the same object."""
    return known is not None and known["metadata"].get("uid") == obj["metadata"].get("uid")
