"""Requests that the operator sends, to an API server that answers as it is told."""

from collections.abc import Mapping
from typing import Any, cast

from llmfinetune_operator.cluster.client import CHUNK, METADATA_ONLY, KubernetesCluster
from llmfinetune_operator.cluster.connection import Connection


class Pages:
    """Answers a list in pages of one object each."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.queries: list[dict[str, str]] = []

    async def request(self, verb: str, path: str, *, query: Mapping[str, str], accept: str) -> dict[str, Any]:
        assert (verb, accept) == ("GET", METADATA_ONLY)
        self.queries.append(dict(query))
        index = int(query.get("continue", 0))
        rest = {"continue": str(index + 1)} if index + 1 < len(self.names) else {}
        items = [{"metadata": {"name": name}} for name in self.names[index : index + 1]]
        return {"metadata": rest, "items": items}


async def test_a_list_is_asked_for_in_chunks_and_yielded_as_they_come() -> None:
    pages = Pages("a", "b", "c")
    cluster = KubernetesCluster(cast(Connection, pages))
    asked = []
    async for found in cluster.list_metadata("v1", "Pod", None):
        assert (found["apiVersion"], found["kind"]) == ("v1", "Pod")
        asked.append((found["metadata"]["name"], len(pages.queries)))
    assert asked == [("a", 1), ("b", 2), ("c", 3)]
    assert {query["limit"] for query in pages.queries} == {str(CHUNK)}
    assert [query.get("continue") for query in pages.queries] == [None, "1", "2"]


async def test_an_empty_list_is_one_question() -> None:
    pages = Pages()
    assert [
        each async for each in KubernetesCluster(cast(Connection, pages)).list_metadata("v1", "Pod", "ml")
    ] == []
    assert len(pages.queries) == 1
