"""Rules and kernel settings of the pod network, and that only what is ours is taken away."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from devcluster.embedded import network
from devcluster.embedded.network import host_rules, without_kubernetes
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.layout import Layout

SAVED = """\
*nat
:PREROUTING ACCEPT [0:0]
:MINE - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j MINE
-A KUBE-SERVICES -d 10.218.0.1/32 -p tcp -j KUBE-SVC-NPX
COMMIT
"""


def test_chains_of_kubernetes_go_and_others_stay() -> None:
    kept = without_kubernetes(SAVED)
    assert "KUBE-" not in kept
    assert ":MINE - [0:0]" in kept
    assert "-A PREROUTING -j MINE" in kept
    assert kept.endswith("COMMIT\n")


def test_rules_without_kubernetes_stay_as_they_are() -> None:
    other = "*nat\n:MINE - [0:0]\nCOMMIT\n"
    assert without_kubernetes(other) == other


def test_every_rule_is_marked_as_ours(tmp_path: Path) -> None:
    settings = EmbeddedSettings(layout=Layout(cache=tmp_path, state=tmp_path))
    rules = host_rules(settings)
    assert all("llmfinetune-dev-cluster" in rule.insert for rule in rules)
    assert all(rule.insert[3:] == rule.delete[3:] == rule.check[3:] for rule in rules)


class Kernel:
    """A kernel whose settings of bridges come and go with the module, as `modprobe` loads and removes it."""

    def __init__(self, root: Path) -> None:
        self.filter = root / network.FILTER_SETTING
        forward = root / "net/ipv4/ip_forward"
        forward.parent.mkdir(parents=True)
        forward.write_text("0")

    def modprobe(self, command: Sequence[str | Path]) -> None:
        assert command[-1] == network.FILTER_MODULE
        if "--remove" in command:
            self.filter.unlink()
            self.filter.parent.rmdir()
        else:
            self.filter.parent.mkdir()
            self.filter.write_text("1")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(tmp_path / "sys")
    monkeypatch.setattr(network, "KERNEL_SETTINGS", tmp_path / "sys")
    monkeypatch.setattr(network, "find_tool", lambda name, hint: Path(name))
    monkeypatch.setattr(network, "run_unchecked", kernel.modprobe)
    return kernel


@pytest.mark.parametrize("before", [None, "0", "1"], ids=["not loaded", "switched off", "switched on"])
def test_bridges_are_filtered_while_the_cluster_is_up_and_as_before_afterwards(
    tmp_path: Path, kernel: Kernel, before: str | None
) -> None:
    settings = EmbeddedSettings(layout=Layout(cache=tmp_path, state=tmp_path))
    if before is not None:
        kernel.filter.parent.mkdir()
        kernel.filter.write_text(before)
    network.change_host_settings(settings)
    assert kernel.filter.read_text() == "1"
    network.restore_host_settings(settings)
    assert network.read_host_setting(network.FILTER_SETTING) == before
