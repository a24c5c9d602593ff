"""Sources: what is one, and what would lead out of the place that it names."""

import pytest

from llmfinetune_trainer.config.source import Source, parse_source

SOURCES = {
    "hf://owner/name": Source("hf", "owner/name", ""),
    "hf://gpt2": Source("hf", "gpt2", ""),
    "hf://owner/name/sub/rows.json": Source("hf", "owner/name", "sub/rows.json"),
    "pvc://claim/.": Source("pvc", "claim", "."),
    "pvc://claim/a/b..c": Source("pvc", "claim", "a/b..c"),
    "configMap://rows/cards.jsonl": Source("configMap", "rows", "cards.jsonl"),
    "//server/share": Source("file", "", "//server/share"),
    "https://a//b#sha256=" + "0" * 64: Source("https", "https://a//b", "b", "0" * 64),
}


@pytest.mark.parametrize(("uri", "source"), SOURCES.items())
def test_a_source_is_taken_apart(uri: str, source: Source) -> None:
    assert parse_source(uri) == source


REFUSED = {
    "from the root of all files": ("pvc://claim//etc/passwd", "remove the second '/'"),
    "an empty part on a claim": ("pvc://claim/a//b", "remove the second '/'"),
    "an empty key": ("configMap://rows//cards.jsonl", "remove the second '/'"),
    "an empty name of a repository": ("hf://owner//file", "remove the second '/'"),
    "an empty part in a repository": ("hf://owner/name//file", "remove the second '/'"),
    "out of the volume": ("pvc://claim/../other", "remove '..'"),
    "no repository": ("hf://", "names no repository"),
    "no path": ("pvc://claim", "is incomplete"),
}


@pytest.mark.parametrize(("uri", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_source_is_refused_by_what_is_wrong(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_source(uri)
