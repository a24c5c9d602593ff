"""The command line: help without heavy imports, errors with codes, the prepare Job's termination message."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmfinetune_trainer.cli import main, prepare_command
from llmfinetune_trainer.cli.prepare_command import hub_token
from llmfinetune_trainer.config.messages import TerminationMessage

IMPORTED = """
import sys
from llmfinetune_trainer.cli import main
try:
    main(["--help"])
finally:
    print(sorted({"torch", "transformers", "numpy", "rich"} & set(sys.modules)), file=sys.stderr)
"""


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in ("prepare", "train", "launch", "evaluate", "generate"))
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", ["prepare", "train", "launch", "evaluate", "generate"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert "usage: llmfinetune" in capsys.readouterr().out


def test_prepare_leaves_where_a_defect_is_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("token=abcdefghijkl")

    monkeypatch.setattr(prepare_command, "_prepare", broken)
    log = tmp_path / "termination.json"
    arguments = ["prepare", "--config", "run.json", "--workspace", str(tmp_path)]
    assert main([*arguments, "--termination-log", str(log)]) == 3
    message = TerminationMessage.model_validate_json(log.read_text(encoding="utf-8"))
    assert message.log_tail is not None
    assert "Traceback" in message.log_tail
    assert "abcdefghijkl" not in message.log_tail


def test_prepare_leaves_what_was_wrong_in_the_termination_message(tmp_path: Path) -> None:
    config, log = tmp_path / "run.json", tmp_path / "termination.json"
    config.write_text(json.dumps({"name": "x"}))
    arguments = ["prepare", "--config", str(config), "--workspace", str(tmp_path)]
    assert main([*arguments, "--termination-log", str(log)]) == 2
    failure = TerminationMessage.model_validate_json(log.read_text()).failure
    assert failure is not None
    assert (failure.category, failure.retryable) == ("UserError", False)
    assert "model: required" in failure.message


def test_the_mounted_token_comes_before_the_environment(tmp_path: Path) -> None:
    mounted = tmp_path / "token"
    assert hub_token(mounted, {"HF_TOKEN": "own"}) == "own"
    mounted.write_text("mounted\n")
    assert hub_token(mounted, {"HF_TOKEN": "own"}) == "mounted"
    assert hub_token(tmp_path / "absent", {}) is None
