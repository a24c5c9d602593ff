"""Preparation from data files and a model directory to memory-mapped samples, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmfinetune_trainer.config import exit_codes
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared, open_prepared
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.prepare import prepare

from .tiny_model import make_tiny_model

pytestmark = [
    pytest.mark.timeout(300),  # importing torch takes long on a busy machine
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and its bindings, not ours
]

ROWS = [{"instruction": f"add {n}", "input": "", "output": f"{n + n}"} for n in range(40)]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "workspace")


@pytest.fixture
def configure(model: Path, tmp_path: Path) -> Callable[..., RunConfig]:
    def make(rows: Any = ROWS, *, lora: Any = None, source: Path = model, **settings: Any) -> RunConfig:
        data = tmp_path / "data.json"
        data.write_text(json.dumps(rows), encoding="utf-8")
        dataset = {"source": str(data), **settings.pop("dataset", {})}
        training = {"max_sequence_length": 256, **settings}
        method = {"lora": lora or {}}
        values = {"name": "t", "model": {"source": str(source)}, "dataset": dataset, "method": method}
        return RunConfig.model_validate({**values, "training": training})

    return make


def run(config: RunConfig, layout: Layout, log: list[str] | None = None) -> Prepared:
    return prepare(config, layout, token=None, progress=(log if log is not None else []).append)


def texts(prepared: Prepared, tokenizer: Any) -> list[tuple[str, str]]:
    """(whole text, learned text) of every training sample."""
    return [
        (
            tokenizer.decode(prepared.train.tokens(index)),
            tokenizer.decode(prepared.train.tokens(index)[prepared.train.loss_mask(index)]),
        )
        for index in range(prepared.train.num_samples)
    ]


@pytest.fixture
def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def test_samples_decode_to_the_template_and_learn_the_answer(
    configure: Callable[..., RunConfig], layout: Layout, tokenizer: Any
) -> None:
    prepared = run(configure(dataset={"validation_split": 0.1}), layout)
    assert (prepared.facts.rows, prepared.facts.validation_rows) == (36, 4)
    assert prepared.facts.tokens == prepared.train.lengths.sum()
    assert prepared.facts.supervised_tokens == prepared.train.supervised.sum()
    for text, learned in texts(prepared, tokenizer):
        number = int(text.split("add ")[1].split("\n")[0])
        assert text.endswith(f"### Response:\n{number + number}<|end|>")
        assert learned == f"{number + number}<|end|>"


def test_conversations_learn_every_assistant_turn(
    configure: Callable[..., RunConfig], layout: Layout, tokenizer: Any
) -> None:
    turns = [("user", "héllo"), ("assistant", "one 🎉"), ("user", "more"), ("assistant", "\ntwo")]
    messages = [{"role": role, "content": content} for role, content in turns]
    prepared = run(configure([{"messages": messages}], dataset={"validation_split": 0.0}), layout)
    assert texts(prepared, tokenizer) == [
        (
            "<|user|>héllo<|end|>\n<|assistant|>one 🎉<|end|>\n"
            "<|user|>more<|end|>\n<|assistant|>\ntwo<|end|>",
            "one 🎉<|end|>\ntwo<|end|>",
        )
    ]


def test_no_row_is_lost_between_batches(
    configure: Callable[..., RunConfig], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmfinetune_trainer.data.build.BATCH_ROWS", 7)
    facts = run(configure(), layout).facts
    assert facts.rows + facts.validation_rows == len(ROWS)


def test_the_model_directory_loads_and_is_the_runs_own(
    configure: Callable[..., RunConfig], layout: Layout, model: Path
) -> None:
    from transformers import AutoModelForCausalLM

    prepared = run(configure(), layout)
    assert prepared.model_path.is_relative_to(layout.root)
    assert prepared.base_revision.startswith("sha256:")
    loaded = AutoModelForCausalLM.from_pretrained(prepared.model_path)
    original = AutoModelForCausalLM.from_pretrained(model)
    for name, weight in original.state_dict().items():
        assert loaded.state_dict()[name].equal(weight), name


def test_a_second_preparation_reads_nothing_and_a_worker_needs_no_sources(
    configure: Callable[..., RunConfig], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, log = configure(), list[str]()
    first = run(config, layout)
    monkeypatch.setattr("llmfinetune_trainer.prepare.fetch_data", None)
    assert run(config, layout, log).key == first.key
    assert log == [f"prepared before as {first.key}"]
    Path(config.dataset.source).unlink()
    assert open_prepared(config, layout).facts == first.facts


def test_changed_data_is_prepared_again_under_another_key(
    configure: Callable[..., RunConfig], layout: Layout
) -> None:
    first = run(configure(), layout)
    assert run(configure(ROWS[:20]), layout).key != first.key


def test_what_auto_comes_to_is_the_same_data_as_what_is_named(
    configure: Callable[..., RunConfig], layout: Layout
) -> None:
    auto = run(configure(), layout)
    named = run(configure(dataset={"format": "alpaca", "template": "alpaca"}), layout)
    assert (auto.format_name, auto.template) == ("alpaca", "alpaca")
    assert named.key == auto.key


@pytest.mark.parametrize("name", ["tokens.bin", "targets.bin", "train.npy"])
def test_damaged_files_are_found_and_made_again(
    configure: Callable[..., RunConfig], layout: Layout, name: str
) -> None:
    config = configure()
    first = run(config, layout)
    path = layout.prepared / first.key / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=f"{name} is damaged") as raised:
        open_prepared(config, layout)
    assert "llmfinetune prepare" in raised.value.failure.hint
    assert run(config, layout).facts == first.facts


def test_what_a_killed_preparation_left_is_removed(
    configure: Callable[..., RunConfig], layout: Layout
) -> None:
    left = layout.prepared / ".incomplete-abc"
    left.mkdir(parents=True)
    (left / "tokens.bin").write_bytes(b"half")
    blob = layout.cache / "hub/models--owner--name/blobs/0a1b.2c3d4e5f.incomplete"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"half")
    run(configure(), layout)
    assert not left.exists()
    assert not blob.exists()


def test_not_prepared_names_the_command(configure: Callable[..., RunConfig], layout: Layout) -> None:
    with pytest.raises(RunError, match="no prepared data for this configuration") as raised:
        open_prepared(configure(), layout)
    assert raised.value.failure.reason == "NotPrepared"


def test_rows_without_answer_are_counted_and_named(
    configure: Callable[..., RunConfig], layout: Layout
) -> None:
    log: list[str] = []
    rows = [*ROWS, {"instruction": "silent", "output": ""}]
    assert run(configure(rows), layout, log).facts.skipped == 1
    assert "left out data.json row 41: holds no answer to learn" in log


@pytest.mark.parametrize(
    ("rows", "settings", "reason", "message"),
    [
        pytest.param([], {}, "DataEmpty", "has no rows", id="no rows"),
        pytest.param(
            [{"instruction": "a", "output": ""}] * 3,
            {},
            "AllLabelsMasked",
            "none of the 3 rows has a token to learn; the first: data.json row 1",
            id="no answers",
        ),
        pytest.param(
            ROWS,
            {"max_sequence_length": 32},
            "AllLabelsMasked",
            "its prompt alone fills the 32 tokens",
            id="prompts fill the samples",
        ),
        pytest.param([{"question": "a"}], {}, "UnknownFormat", "columns question", id="unknown columns"),
        pytest.param(
            [*ROWS, {"instruction": "a", "answer": "b"}],
            {},
            "ColumnMissing",
            "data.json row 41: column 'output' is missing",
            id="a late row lacks its column",
        ),
        pytest.param(
            ROWS,
            {"max_sequence_length": 1024},
            "SequenceTooLong",
            "maxSequenceLength = 1024, but the model has positions for 512",
            id="longer than the model",
        ),
        pytest.param(
            ROWS,
            {"lora": {"target_modules": ["q_porj", "v_proj", "embed_tokens"]}},
            "TargetModuleUnmatched",
            "(?s)q_porj; did you mean q_proj.*embed_tokens: is there, as Embedding",
            id="target modules",
        ),
    ],
)
def test_refused(
    configure: Callable[..., RunConfig],
    layout: Layout,
    rows: Any,
    settings: dict[str, Any],
    reason: str,
    message: str,
) -> None:
    with pytest.raises(RunError, match=message) as raised:
        run(configure(rows, **settings), layout)
    assert raised.value.failure.reason == reason
    assert raised.value.exit_code == exit_codes.USER_ERROR
    assert raised.value.failure.hint


def test_a_model_that_cannot_be_trained_is_refused_before_its_weights_are_taken_over(
    configure: Callable[..., RunConfig], layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import BloomConfig, BloomForCausalLM
    from transformers.models.bloom.modeling_bloom import BloomModel

    source = make_tiny_model(tmp_path / "bloom")
    shape = BloomConfig(vocab_size=260, hidden_size=16, n_layer=2, n_head=2)
    BloomForCausalLM(shape).save_pretrained(source)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a kernel is missing")

    monkeypatch.setattr(BloomModel, "forward", fail)
    config = configure(source=source, lora={"target_modules": ["query_key_value"]})
    with pytest.raises(RunError, match="does not train BloomForCausalLM: RuntimeError: a kernel is missing"):
        run(config, layout)
    assert not list(layout.cache.glob("models/*/*.safetensors"))


def test_a_full_volume_is_said_so(
    configure: Callable[..., RunConfig], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("llmfinetune_trainer.data.writer.SampleWriter.add_row", full)
    with pytest.raises(RunError, match="no space left") as raised:
        run(configure(), layout)
    assert raised.value.exit_code == exit_codes.DISK_FULL
    assert not list(layout.prepared.glob(".incomplete-*"))


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        pytest.param("config.json", "NotAModel", id="no configuration"),
        pytest.param("tokenizer.json", "TokenizerMissing", id="no tokenizer"),
        pytest.param("model.safetensors", "WeightsMissing", id="no weights"),
    ],
)
def test_incomplete_models(
    configure: Callable[..., RunConfig],
    layout: Layout,
    model: Path,
    tmp_path: Path,
    missing: str,
    reason: str,
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / missing).unlink()
    with pytest.raises(RunError) as raised:
        run(configure(source=broken), layout)
    assert raised.value.failure.reason == reason
    assert raised.value.failure.category == "ModelAccess"


def test_safetensors_of_another_name_are_no_weights(
    configure: Callable[..., RunConfig], layout: Layout, model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / "model.safetensors").rename(broken / "adapter_model.safetensors")
    with pytest.raises(RunError, match=r"has no weights.*adapter_model\.safetensors") as raised:
        run(configure(source=broken), layout)
    assert raised.value.failure.reason == "WeightsMissing"


def test_cut_weights_are_found_by_their_header(
    configure: Callable[..., RunConfig], layout: Layout, model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(RunError, match=r"model\.safetensors is damaged.*its header says"):
        run(configure(source=broken), layout)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"not a model", "NotAModel", id="some other file"),
        pytest.param(b"GGUF\3\0\0\0" + b"\0" * 64, "ModelDamaged", id="a damaged GGUF file"),
    ],
)
def test_files_that_are_no_model(
    configure: Callable[..., RunConfig], layout: Layout, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(RunError) as raised:
        run(configure(source=path), layout)
    assert raised.value.failure.reason == reason
