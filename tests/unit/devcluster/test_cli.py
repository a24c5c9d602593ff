"""What a person sees on the command line."""

from pathlib import Path

import pytest

from devcluster.arguments import parser
from devcluster.cli import COMMANDS, main, status_text
from devcluster.errors import DevClusterError, ExitCode
from devcluster.layout import Layout
from devcluster.providers.base import Status
from devcluster.providers.choose import recorded_provider
from devcluster.providers.embedded import EmbeddedProvider


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LLMFINETUNE_PROVIDER", "embedded")


def test_help_names_every_command() -> None:
    text = parser().format_help()
    assert all(f"    {name}" in text for name in COMMANDS)


def test_status_without_a_cluster_has_an_exit_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == ExitCode.NOT_RUNNING
    assert "running: no" in capsys.readouterr().out


def test_kubeconfig_without_a_cluster_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kubeconfig"]) == ExitCode.NOT_RUNNING
    assert "hint: python3 -m devcluster up" in capsys.readouterr().err


def test_unknown_image_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build-images", "trainr"]) == ExitCode.FAILED
    assert "trainr" in capsys.readouterr().err


def test_log_of_a_cluster_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "kubelet"]) == ExitCode.NOT_RUNNING
    assert "no cluster is up" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["add", "lose", "remove"])
def test_a_second_node_needs_a_cluster(
    action: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert main(["node", action]) == ExitCode.NOT_RUNNING
    assert "hint: python3 -m devcluster up" in capsys.readouterr().err


def test_a_cluster_that_came_up_halfway_is_the_one_that_later_commands_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DevClusterError("halfway")

    monkeypatch.setattr(EmbeddedProvider, "prepare", lambda *_, **__: None)
    monkeypatch.setattr(EmbeddedProvider, "up", fail)
    assert main(["up"]) == ExitCode.FAILED
    assert recorded_provider(Layout.from_environment()) == "embedded"


def test_status_in_words() -> None:
    found = Status(
        provider="embedded",
        running=True,
        kubeconfig="/k",
        context="c",
        nodes_ready=1,
        nodes=2,
        training_operator=True,
        processes=("etcd", "kubelet"),
    )
    assert status_text(found).splitlines() == [
        "provider: embedded",
        "running: yes",
        "kubeconfig: /k (context c)",
        "nodes ready: 1 of 2",
        "training-operator: available",
        "processes: etcd, kubelet",
    ]
