"""Sources on volumes and local paths, and which files of a directory are the data."""

from pathlib import Path

import pytest

from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import DatasetConfig
from llmfinetune_trainer.config.source import parse_source
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.sources.context import FetchContext, sources_root
from llmfinetune_trainer.sources.datafiles import choose_files, fetch_data
from llmfinetune_trainer.sources.local import local_path


@pytest.fixture
def context(tmp_path: Path) -> FetchContext:
    for name in ("claims/models/base/config.json", "configmaps/rows/data.jsonl"):
        path = tmp_path / "mnt" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}", encoding="utf-8")
    return FetchContext(Layout(tmp_path), lambda _: None, tmp_path / "mnt")


@pytest.mark.parametrize(
    ("uri", "below"),
    [
        pytest.param("pvc://models/base", "claims/models/base", id="claim"),
        pytest.param("configMap://rows/data.jsonl", "configmaps/rows/data.jsonl", id="ConfigMap"),
    ],
)
def test_volumes(context: FetchContext, uri: str, below: str) -> None:
    assert local_path(parse_source(uri), "dataset", context) == context.sources / below


@pytest.mark.parametrize(
    ("uri", "category", "message"),
    [
        pytest.param(
            "pvc://other/base", "Volume", "claim 'other' of spec.model.source is not mounted", id="claim"
        ),
        pytest.param("pvc://models/bose", "ModelAccess", "holds base", id="path on a claim"),
        pytest.param(
            "pvc://models/base/config.json/x", "ModelAccess", "config.json is a file", id="below a file"
        ),
        pytest.param("/no/such/model", "ModelAccess", "/no/such/model does not exist", id="local path"),
    ],
)
def test_what_is_not_there(context: FetchContext, uri: str, category: str, message: str) -> None:
    with pytest.raises(RunError, match=message) as raised:
        local_path(parse_source(uri), "model", context)
    assert raised.value.failure.category == category


def test_the_place_of_volumes_can_be_another() -> None:
    assert sources_root({"LLMFINETUNE_SOURCES": "/elsewhere"}) == Path("/elsewhere")
    assert sources_root({}) == Path("/mnt/llmfinetune")


@pytest.mark.parametrize(
    ("names", "path", "chosen"),
    [
        pytest.param(["a.json", "README.md"], "", ["a.json"], id="the only data"),
        pytest.param(["d/test.csv", "d/train.csv"], "", ["d/train.csv"], id="train by name"),
        pytest.param(
            ["d/train-00001-of-2.parquet", "d/train-00000-of-2.parquet", "d/test-0.parquet"],
            "",
            ["d/train-00000-of-2.parquet", "d/train-00001-of-2.parquet"],
            id="parts in order",
        ),
        pytest.param(["a/x.json", "b/x.json"], "b", ["b/x.json"], id="below a directory"),
        pytest.param(["a/x.json", "b/x.json"], "a/x.json", ["a/x.json"], id="one file"),
        pytest.param(["training.json", "dataset_info.json"], "", ["training.json"], id="metadata is no data"),
        pytest.param(
            [
                "dataset_dict.json",
                "train/data-0.arrow",
                "train/state.json",
                "train/cache-1f.arrow",
                "test/data-0.arrow",
            ],
            "",
            ["train/data-0.arrow"],
            id="as datasets saves it",
        ),
    ],
)
def test_chosen_files(names: list[str], path: str, chosen: list[str]) -> None:
    assert choose_files(names, path=path, where="hf://x/y") == chosen


@pytest.mark.parametrize(
    ("names", "path", "message"),
    [
        pytest.param(["README.md"], "", "hf://x/y has no data file; files there: README.md", id="no data"),
        pytest.param(["a.json"], "b.json", "no file 'b.json' and no data below it", id="misspelt"),
        pytest.param(["a.json", "b.csv"], "", "several data sets: a.json, b.csv", id="two kinds"),
        pytest.param(["a/x.json", "b/x.json"], "", "several data sets", id="two directories"),
    ],
)
def test_unclear_files(names: list[str], path: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        choose_files(names, path=path, where="hf://x/y")


def test_the_digest_follows_the_content(tmp_path: Path, context: FetchContext) -> None:
    digests = set()
    for content in ("[]", "[{}]", "[]"):
        (tmp_path / "a.json").write_text(content, encoding="utf-8")
        digests.add(fetch_data(DatasetConfig(source=str(tmp_path / "a.json")), context).digest)
    assert len(digests) == 2
