"""The command line: it names everything that can be set."""

import pytest

from llmfinetune_operator.main import parse_arguments
from llmfinetune_operator.settings import Settings, variable


def test_help_names_every_setting_with_its_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse_arguments(["--help"])
    said = capsys.readouterr().out
    words = " ".join(said.split())
    assert "environment variables, in a cluster those of the operator's Deployment" in words
    for name, field in Settings.model_fields.items():
        assert f"  {variable(name)} (" in said
        assert " ".join((field.description or "not described").split()) in words
    assert "LLMFINETUNE_TRAINER_IMAGE (required)" in said
    assert "LLMFINETUNE_RESYNC_SECONDS (600)" in said
