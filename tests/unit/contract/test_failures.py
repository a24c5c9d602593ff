"""What the trainer says when it ends, the status says: category, hint, and that waiting cannot help."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llmfinetune_trainer.cli import prepare_command
from llmfinetune_trainer.cli.main import parser
from llmfinetune_trainer.config.messages import TerminationMessage
from llmfinetune_trainer.errors import disk_full
from llmfinetune_trainer.launcher.ending import Ended, ending
from llmfinetune_trainer.launcher.outcome import encode
from tests.unit.operator.decide.world import JOB, PREPARE, World
from tests.unit.trainer.sources.servers import Answer, make_certificate, serving

POD, WORKER = "medical-prepare-x", "medical-worker-0"
ROWS = [{"instruction": "add 1", "input": "", "output": "2"}]
ANSWERS = {
    "/api/models/owner/gated/revision/main": Answer(b"", 403, headers={"X-Error-Code": "GatedRepo"}),
    "/changed": Answer(b"other bytes than before"),
    "/huge": Answer(b"", announced=1 << 60),
}
HTTPS = "{address}/%s#sha256=" + "0" * 64


class Case(NamedTuple):
    """One source that cannot be had, and what is said about it."""

    sources: dict[str, str]
    code: int
    category: str
    reason: str
    hint: str


CASES = {
    "gated model without a token": Case(
        {"model": "hf://owner/gated"}, 2, "ModelAccess", "Gated", "set spec.model.tokenSecretRef to a Secret"
    ),
    "model with another digest": Case(
        {"model": HTTPS % "changed"}, 2, "ModelAccess", "DigestMismatch", "put its digest behind #sha256="
    ),
    "data with another digest": Case(
        {"dataset": HTTPS % "changed"}, 2, "Data", "DigestMismatch", "put its digest behind #sha256="
    ),
    "no room for the model": Case(
        {"model": HTTPS % "huge"},
        5,
        "DiskFull",
        "NoSpaceLeft",
        "free space on the volume",
    ),
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def address(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(ANSWERS, context) as address:
        yield address


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from huggingface_hub import constants

    with serving(ANSWERS) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        yield


def prepare(tmp_path: Path, sources: dict[str, str]) -> tuple[int, str]:
    """Run the command of the prepare pod: its exit code and termination message."""
    rows, config, told = tmp_path / "rows.json", tmp_path / "run.json", tmp_path / "told"
    rows.write_text(json.dumps(ROWS), encoding="utf-8")
    spec: dict[str, Any] = {"name": "medical", "method": {"lora": {}}}
    (tmp_path / "model").mkdir()
    given = {"model": str(tmp_path / "model"), "dataset": str(rows)} | sources
    spec |= {name: {"source": source} for name, source in given.items()}
    config.write_text(json.dumps(spec), encoding="utf-8")
    paths = {"--config": config, "--workspace": tmp_path / "workspace", "--termination-log": told}
    words = [str(word) for pair in paths.items() for word in pair]
    code = prepare_command.run(parser().parse_args(["prepare", *words]), {})
    return code, told.read_text(encoding="utf-8")


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_source_that_cannot_be_had(
    case: Case, address: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    sources = {name: source.format(address=address) for name, source in case.sources.items()}
    code, message = prepare(tmp_path, sources)
    world = World()
    world.settle()
    world.bind()
    world.pod(POD, PREPARE)
    world.end(POD, code, message)
    world.finish_job(PREPARE, "Failed")
    world.settle()
    assert code == case.code
    assert_told(world, case.category, case.reason, case.hint)
    assert JOB not in world.children


def test_a_volume_that_fills_up_while_training() -> None:
    left = TerminationMessage(attempt="a", failure=disk_full(Path("/workspace/checkpoints")).failure)
    ended = Ended(1, told_to_stop=False, num_oom_kills=0, outcome=left)
    code, message = ending(ended, attempt="a")
    world = World().training()
    world.end(WORKER, code, encode(message))
    world.finish_job(JOB, "Failed")
    world.settle()
    assert_told(world, "DiskFull", "NoSpaceLeft", "free space on the volume")


def assert_told(world: World, category: str, reason: str, hint: str) -> None:
    failure = world.status["failure"]
    assert world.phase == "Failed"
    assert (failure["category"], failure["reason"], failure["retryable"]) == (category, reason, False)
    assert hint in failure["hint"]
