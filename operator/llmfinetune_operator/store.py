"""The last seen state of every fine-tune, child and pod: what a reconcile reads instead of asking the server.

Fed by the watches (`handlers`), by the operator's own writes and by the audit, in any order: of two states of
one object the newer resourceVersion stays, and what was deleted comes back only in a later state: to the
watches, an object that has lost our label is deleted until it is given back.

Objects are kept packed, for as dictionaries they take ten times the memory: what is handed out is a copy.
"""

import marshal
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Set
from typing import Final, NamedTuple, cast

from llmfinetune_operator.constants import GROUP, KIND, LABEL_NAME
from llmfinetune_operator.observed import ChildRef, Key, Object

MAX_TOMBSTONES: Final = 10_000


class Packed(NamedTuple):
    """A state of an object, small."""

    uid: str
    version: int
    content: bytes

    def unpacked(self) -> Object:
        """Return the object."""
        return cast(Object, marshal.loads(zlib.decompress(self.content)))  # noqa: S302 - `packed` made it


class Store:
    """Objects by fine-tune."""

    def __init__(self) -> None:
        self._fine_tunes: dict[Key, Packed] = {}
        self._children: dict[Key, dict[ChildRef, Packed]] = {}
        self._keys: dict[tuple[str, ChildRef], Key] = {}
        self._failed_pods: dict[Key, dict[str, Packed]] = {}
        self._deleted: OrderedDict[str, int] = OrderedDict()

    def fine_tune(self, key: Key) -> Object | None:
        """Return the fine-tune as last seen."""
        known = self._fine_tunes.get(key)
        return known.unpacked() if known else None

    def fine_tunes(self) -> Iterator[tuple[Key, Object]]:
        """Go through every fine-tune."""
        return ((key, known.unpacked()) for key, known in list(self._fine_tunes.items()))

    def children(self, key: Key) -> Mapping[ChildRef, Object]:
        """Return every object but pods that carries the fine-tune's label."""
        return {ref: child.unpacked() for ref, child in self._all(key).items() if ref.kind != "Pod"}

    def refs(self, key: Key) -> Set[ChildRef]:
        """Return what `children` and `pods` would, by reference only: nothing is unpacked."""
        return self._all(key).keys()

    def pods(self, key: Key) -> tuple[Object, ...]:
        """Return the fine-tune's pods, in order of name."""
        found = [(ref.name, child) for ref, child in self._all(key).items() if ref.kind == "Pod"]
        return tuple(pod.unpacked() for _, pod in sorted(found, key=lambda item: item[0]))

    def failed_pods(self, key: Key) -> tuple[Object, ...]:
        """Return pods that failed and are gone, the last of each name: controllers remove them at once."""
        return tuple(pod.unpacked() for pod in self._failed_pods.get(key, {}).values())

    def states(self, api_version: str, kind: str) -> list[Packed]:
        """Return the state of every object of a kind, packed as it is."""
        if is_fine_tune(api_version, kind):
            return list(self._fine_tunes.values())
        everything = (item for children in self._children.values() for item in children.items())
        kinds = (api_version, kind)
        return [child for ref, child in everything if (ref.api_version, ref.kind) == kinds]

    def put(self, obj: Object) -> set[Key]:
        """Take in a state of an object, and return the fine-tunes it is news for, now and before.

        What the watches deliver of the operator's own writes is known from the answers to them, and no news.
        """
        key = key_of(obj)
        if version_of(obj) <= self._deleted.get(uid_of(obj), -1):
            return set()
        if is_fine_tune(obj["apiVersion"], obj["kind"]):
            assert key is not None
            if not is_newer(obj, self._fine_tunes.get(key)):
                return set()
            self._fine_tunes[key] = packed(obj)
            return {key}
        return self._put_child(obj, key)

    def remove(self, obj: Object) -> set[Key]:
        """Forget an object that is gone, and return the fine-tune it belonged to. A namesake of it stays."""
        self._bury(obj)
        key = key_of(obj)
        if is_fine_tune(obj["apiVersion"], obj["kind"]):
            assert key is not None
            if same_uid(self._fine_tunes.get(key), obj):
                del self._fine_tunes[key]
                self._failed_pods.pop(key, None)
            return {key}
        if key is not None and obj["kind"] == "Pod" and (obj.get("status") or {}).get("phase") == "Failed":
            self._failed_pods.setdefault(key, {})[obj["metadata"]["name"]] = packed(obj)
        known = self._keys.get((obj["metadata"]["namespace"], ref_of(obj)))
        if known is not None and same_uid(self._children[known][ref_of(obj)], obj):
            self._forget_child(known, ref_of(obj))
        return {each for each in (key, known) if each is not None}

    def _put_child(self, obj: Object, key: Key | None) -> set[Key]:
        ref = ref_of(obj)
        place = (obj["metadata"]["namespace"], ref)
        known = self._keys.get(place)
        if known is not None and not is_newer(obj, self._children[known][ref]):
            return set()
        if known is not None and known != key:
            self._forget_child(known, ref)
        if key is not None:
            self._children.setdefault(key, {})[ref] = packed(obj)
            self._keys[place] = key
        return {each for each in (key, known) if each is not None}

    def _forget_child(self, key: Key, ref: ChildRef) -> None:
        del self._keys[key.namespace, ref]
        del self._children[key][ref]
        if not self._children[key]:
            del self._children[key]

    def _all(self, key: Key) -> Mapping[ChildRef, Packed]:
        return self._children.get(key, {})

    def _bury(self, obj: Object) -> None:
        self._deleted[uid_of(obj)] = version_of(obj)
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


def packed(obj: Object) -> Packed:
    """Pack the object without the records of field managers, which are half of it and nobody here reads."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    content = zlib.compress(marshal.dumps({**obj, "metadata": metadata}), level=1)
    return Packed(uid=uid_of(obj), version=version_of(obj), content=content)


def is_newer(obj: Object, known: Packed | None) -> bool:
    """Say whether `obj` is a later state than `known`, or another object."""
    return known is None or not same_uid(known, obj) or version_of(obj) > known.version


def version_of(obj: Object) -> int:
    """Return the resourceVersion; the API server counts it up."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def uid_of(obj: Object) -> str:
    """Return the uid, empty where there is none."""
    return str(obj["metadata"].get("uid") or "")


def same_uid(known: Packed | None, obj: Object) -> bool:
    """Say whether both are states of the same object."""
    return known is not None and known.uid == uid_of(obj)
