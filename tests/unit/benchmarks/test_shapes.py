"""Models of other shapes, and the rows of the engine's table."""

from pathlib import Path

import pytest
from benchmarks import models, result
from benchmarks.engine.rows import ROWS, table
from benchmarks.models import config_of, shape_name, written
from transformers import AutoConfig


def test_a_written_model_has_its_weights_and_the_tokenizer_and_is_written_once(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}")
    tiny = AutoConfig.for_model(
        "llama", vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    target = written(tiny, tmp_path / "model", tokenizer=tokenizer)
    names = {path.name for path in target.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    before = (target / "model.safetensors").stat().st_mtime_ns
    written(tiny, target, tokenizer=tokenizer)
    assert (target / "model.safetensors").stat().st_mtime_ns == before
    assert config_of(target, shape=None, vocabulary=31).vocab_size == 31
    assert config_of(target, shape="1b", vocabulary=None).hidden_size == models.SHAPES["1b"]["hidden_size"]


@pytest.mark.parametrize(
    ("shape", "vocabulary", "name"),
    [(None, None, ""), ("1b", None, "1b"), (None, 131072, "vocabulary-131072"), ("1b", 9, "1b-vocabulary-9")],
)
def test_shapes_have_names(shape: str | None, vocabulary: int | None, name: str) -> None:
    assert shape_name(shape, vocabulary) == name


def test_figures_are_recorded_beside_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "RESULT", tmp_path / "result.json")
    assert result.recorded("engine") == {}
    result.write_result({"ours": 1}, tmp_path / "result.json")
    result.record("engine", {"q, v": 2})
    assert result.recorded("engine") == {"q, v": 2}
    assert result._result() == {"ours": 1, "engine": {"q, v": 2}}


def test_the_engine_s_table_has_a_line_for_each_row() -> None:
    figures = {"tokens_per_second": 812.4, "peak_share": 0.934, "resident_bytes": 3 * 2**29}
    assert table(dict.fromkeys(ROWS, figures)).count("| 812 | 0.93 | 1.50 GiB |") == len(ROWS)
