"""What the operator asks of the API server, in the operator's own terms."""

from collections.abc import AsyncIterator
from typing import Any, Final

from llmfinetune_operator.cluster import paths
from llmfinetune_operator.cluster.connection import Connection
from llmfinetune_operator.constants import API_VERSION, FIELD_MANAGER, KIND, LABEL_NAME
from llmfinetune_operator.decision import Deletion
from llmfinetune_operator.errors import ConflictError, ExistsError, NotFoundError
from llmfinetune_operator.observed import ChildRef, Key, Object
from llmfinetune_operator.store import ref_of

APPLY: Final = "application/apply-patch+yaml"
NO_VERSION: Final = "1"
"""A resourceVersion that no object has: etcd counts from 1, and its first write makes it 2."""
CHUNK: Final = 100
"""Objects in one answer to a list."""
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class KubernetesCluster:
    """Reads and writes objects. Every method raises `ApiError` where the request failed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, ref: ChildRef, namespace: str) -> Object | None:
        """Return an object as it is now, None where there is none."""
        try:
            return await self._connection.request("GET", paths.single(ref, namespace))
        except NotFoundError:
            return None

    async def read_fine_tune(self, key: Key) -> Object | None:
        """Return a fine-tune as it is now, None where there is none."""
        return await self.read(ChildRef(API_VERSION, KIND, key.name), key.namespace)

    async def list_metadata(
        self, api_version: str, kind: str, namespace: str | None
    ) -> AsyncIterator[Object]:
        """Yield metadata of all objects of a kind that carry a fine-tune's name, or are fine-tunes.

        They come in chunks: together, with the records of field managers that no request can leave out, they
        would take more memory than all else.
        """
        query = {"limit": str(CHUNK), **({} if kind == KIND else {"labelSelector": LABEL_NAME})}
        path = paths.collection(api_version, kind, namespace)
        while True:
            answer = await self._connection.request("GET", path, query=query, accept=METADATA_ONLY)
            for item in answer.get("items") or ():
                yield {**item, "apiVersion": api_version, "kind": kind}
            query["continue"] = (answer.get("metadata") or {}).get("continue") or ""
            if not query["continue"]:
                return

    async def apply(self, obj: Object) -> Object:
        """Make the object's fields so, whoever set them before, and return the whole object."""
        return await self._apply(obj, obj)

    async def apply_new(self, obj: Object) -> Object:
        """Make an object where there is none, and return the whole of it.

        The fields are this operator's as after `apply`, so that a later `apply` can also remove some.

        Raises:
            ExistsError: there is one; nothing was written.
        """
        try:
            return await self._apply(
                obj, {**obj, "metadata": {**obj["metadata"], "resourceVersion": NO_VERSION}}
            )
        except ConflictError as error:
            raise ExistsError(error.reason, what=str(error), status=error.status) from error

    async def _apply(self, obj: Object, body: Object) -> Object:
        return await self._connection.request(
            "PATCH",
            paths.single(ref_of(obj), obj["metadata"]["namespace"]),
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=body,
            content_type=APPLY,
        )

    async def delete(self, deletion: Deletion, namespace: str) -> None:
        """Delete an object with everything it owns, unless it is gone or is another one by now."""
        grace = {"gracePeriodSeconds": 0} if deletion.at_once else {}
        body = {"propagationPolicy": "Background", "preconditions": {"uid": deletion.uid}, **grace}
        try:
            await self._connection.request("DELETE", paths.single(deletion.ref, namespace), body=body)
        except (NotFoundError, ConflictError):
            return

    async def write_status(self, fine_tune: Object, status: dict[str, Any]) -> Object:
        """Replace the status of the fine-tune, and return the whole object.

        Raises:
            ConflictError: the fine-tune has changed since it was read; nothing was written.
        """
        metadata = fine_tune["metadata"]
        guarded = {name: metadata[name] for name in ("name", "namespace", "resourceVersion", "uid")}
        return await self._connection.request(
            "PUT",
            f"{paths.fine_tune(Key(metadata['namespace'], metadata['name']))}/status",
            query={"fieldManager": FIELD_MANAGER},
            body={**fine_tune, "metadata": guarded, "status": status},
        )

    async def warnings(self, namespace: str) -> list[Object]:
        """Return every warning event in a namespace."""
        answer = await self._connection.request(
            "GET", paths.events(namespace), query={"fieldSelector": "type=Warning"}
        )
        return [dict(item) for item in answer.get("items") or ()]

    async def post_event(self, event: Object) -> None:
        """Create an event; one that is there already stays as it is."""
        try:
            await self._connection.request(
                "POST", paths.new_events(event["metadata"]["namespace"]), body=event
            )
        except ConflictError:
            return

    async def has_training_api(self) -> bool:
        """Say whether the API server knows the training job's kind."""
        try:
            answer = await self._connection.request("GET", paths.TRAINING_API)
        except NotFoundError:
            return False
        return any(each["name"] == paths.TRAINING_PLURAL for each in answer["resources"])

    async def review_token(self, token: str, audience: str) -> dict[str, Any]:
        """Return the API server's verdict on a token: the status of a TokenReview."""
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        answer = await self._connection.request("POST", paths.TOKEN_REVIEWS, body=review)
        return dict(answer.get("status") or {})
