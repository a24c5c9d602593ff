"""What is said of each provider before anything is tried."""

import json
from pathlib import Path

import pytest

from devcluster.cli import main
from devcluster.errors import ExitCode
from devcluster.layout import Layout
from devcluster.providers.choose import NAMES
from tests.unit.devcluster.programs import calls, install
from tests.unit.devcluster.test_kind import SCRIPTS


@pytest.fixture(autouse=True)
def _bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    monkeypatch.delenv("LLMFINETUNE_PROVIDER", raising=False)


def found(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, list[dict[str, str]]]]:
    code = main(["doctor", "--output", "json"])
    findings = json.loads(capsys.readouterr().out)
    return code, {name: [each for each in findings if each["provider"] == name] for name in NAMES}


def test_every_provider_is_looked_at_and_what_it_lacks_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, findings = found(capsys)
    assert code == ExitCode.MISSING_REQUIREMENT
    assert [each["detail"] for each in findings["kubeconfig"]] == ["there is no kubeconfig"]
    assert "'kind' is not on this machine (install kind" in findings["kind"][0]["detail"]
    assert "'go'" in next(each["detail"] for each in findings["embedded"] if each["what"] == "Go")


def test_what_the_provider_to_be_taken_has_is_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, monkeypatch, SCRIPTS)
    code, findings = found(capsys)
    assert code == ExitCode.OK
    assert all(each["good"] for each in findings["kind"])
    assert not all(each["good"] for each in findings["kubeconfig"])


def test_a_look_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found(capsys)
    assert not Layout.from_environment().cache.exists()
    assert not calls(tmp_path)


def test_in_words_each_provider_has_its_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip(":") for line in lines if line.endswith(":") and line[0] != " "] == list(NAMES)
    assert lines[-1].startswith("`up` would take the provider embedded")
