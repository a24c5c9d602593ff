"""The Hugging Face hub, played by a local server: pinning, fetching, and every refusal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import DatasetConfig, ModelConfig
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.sources.context import FetchContext
from llmfinetune_trainer.sources.datafiles import fetch_data
from llmfinetune_trainer.sources.models import fetch_model

from .servers import COMMIT, Answer, hub_answers, serving

MODEL = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"weights", "run.py": b"code"}
DATA = {"README.md": b"about", "data/train.jsonl": b'{"text": "a"}\n', "data/test.jsonl": b""}


def refusal(code: str, status: int) -> Answer:
    return Answer(b"", status, headers={"X-Error-Code": code})


ANSWERS = {
    **hub_answers("model", "owner/name", MODEL),
    **hub_answers("model", "owner/gguf", {"model.Q4.gguf": b"GGUF", "README.md": b""}),
    **hub_answers("model", "owner/adapter", {"config.json": b"{}", "adapter_model.safetensors": b""}),
    **hub_answers("model", "owner/pickled", {"config.json": b"{}", "pytorch_model.bin": b""}),
    **hub_answers("dataset", "owner/data", DATA),
    "/api/models/owner/gated/revision/main": refusal("GatedRepo", 403),
    "/api/models/owner/absent/revision/main": refusal("RepoNotFound", 404),
    "/api/models/owner/name/revision/old": refusal("RevisionNotFound", 404),
    "/api/models/owner/forbidden/revision/main": Answer(b"", 403),
    "/api/models/owner/busy/revision/main": Answer(b"", 500),
}


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with serving(ANSWERS) as address:
        yield address


@pytest.fixture
def context(tmp_path: Path, hub: str) -> FetchContext:
    return FetchContext(Layout(tmp_path), lambda _: None, endpoint=hub)


def model(name: str, revision: str = "main") -> ModelConfig:
    return ModelConfig(source=f"hf://{name}", revision=revision)


def test_a_model_is_pinned_to_its_commit_and_comes_without_code(context: FetchContext) -> None:
    found = fetch_model(model("owner/name"), context)
    assert (found.name, found.revision, found.is_own) == ("owner/name", COMMIT, True)
    assert sorted(path.name for path in found.path.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_what_is_small_can_come_first(context: FetchContext) -> None:
    found = fetch_model(model("owner/name"), context, with_weights=False)
    assert not (found.path / "model.safetensors").exists()


def test_one_gguf_file_is_the_model(context: FetchContext) -> None:
    assert fetch_model(model("owner/gguf"), context).path.name == "model.Q4.gguf"


def test_offline_takes_what_was_fetched_before(context: FetchContext) -> None:
    before = fetch_model(model("owner/name"), context)
    assert fetch_model(model("owner/name"), context._replace(offline=True, endpoint=None)) == before


def test_the_training_part_of_a_data_set_is_taken(context: FetchContext) -> None:
    found = fetch_data(DatasetConfig(source="hf://owner/data"), context)
    assert [path.name for path in found.paths] == ["train.jsonl"]


@pytest.mark.parametrize(
    ("config", "category", "reason", "hint"),
    [
        pytest.param(
            model("owner/gated"), "ModelAccess", "Gated", "set spec.model.tokenSecretRef", id="gated"
        ),
        pytest.param(
            model("owner/absent"), "ModelAccess", "RepositoryNotFound", "spec.model.source", id="not found"
        ),
        pytest.param(
            model("owner/name", "old"),
            "ModelAccess",
            "RevisionNotFound",
            "spec.model.revision",
            id="revision",
        ),
        pytest.param(
            model("owner/forbidden"),
            "ModelAccess",
            "TokenRefused",
            "spec.model.tokenSecretRef",
            id="forbidden",
        ),
        pytest.param(model("owner/busy"), "Network", "HubUnavailable", "later", id="server error"),
        pytest.param(model("owner/pickled"), "ModelAccess", "WeightsMissing", "safetensors", id="pickled"),
        pytest.param(model("owner/adapter"), "ModelAccess", "WeightsMissing", "or its index", id="no model"),
    ],
)
def test_refusals(context: FetchContext, config: ModelConfig, category: str, reason: str, hint: str) -> None:
    with pytest.raises(RunError) as raised:
        fetch_model(config, context)
    assert (raised.value.failure.category, raised.value.failure.reason) == (category, reason)
    assert hint in raised.value.failure.hint


def test_a_token_that_does_not_help_is_told_apart_and_never_shown(context: FetchContext) -> None:
    with pytest.raises(RunError) as raised:
        fetch_model(model("owner/gated"), context._replace(token="hf_secret"))
    assert "of the account that accepted them" in raised.value.failure.hint
    assert "hf_secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("offline", "category"),
    [
        pytest.param(False, "Network", id="nobody listening"),
        pytest.param(True, "ModelAccess", id="offline and not fetched before"),
    ],
)
def test_without_a_hub(context: FetchContext, offline: bool, category: str) -> None:
    with pytest.raises(RunError) as raised:
        fetch_model(model("owner/name"), context._replace(endpoint="http://localhost:1", offline=offline))
    assert raised.value.failure.category == category
    assert raised.value.failure.hint
