"""Rules of the pod network, and that only Kubernetes' own chains are taken away."""

from pathlib import Path

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
