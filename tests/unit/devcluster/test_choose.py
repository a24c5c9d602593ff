"""Which provider a command takes, from what the machine has."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devcluster.errors import DevClusterError
from devcluster.layout import Layout
from devcluster.providers.choose import Machine, choose, has_kubeconfig, record_provider, recorded_provider


@dataclass(frozen=True, kw_only=True)
class Case:
    wanted: str = "auto"
    environment: dict[str, str] = field(default_factory=dict)
    recorded: str | None = None
    context: str | None = None
    kind: bool = False
    want: str


CASES = {
    "nothing but the machine itself": Case(want="embedded"),
    "kind and a Docker daemon": Case(kind=True, want="kind"),
    "a context that answers comes before kind": Case(kind=True, context="prod", want="kubeconfig"),
    "a cluster of an earlier up comes before a context": Case(
        recorded="embedded", context="prod", want="embedded"
    ),
    "the variable comes before everything found": Case(
        environment={"LLMFINETUNE_PROVIDER": "kind"}, recorded="embedded", context="prod", want="kind"
    ),
    "the option comes before the variable": Case(
        wanted="embedded", environment={"LLMFINETUNE_PROVIDER": "kind"}, want="embedded"
    ),
    "the variable may say auto": Case(environment={"LLMFINETUNE_PROVIDER": "auto"}, kind=True, want="kind"),
}


def machine(case: Case) -> Machine:
    return Machine(
        environment=case.environment,
        recorded=constant(case.recorded),
        user_cluster=constant(case.context),
        kind_usable=lambda: case.kind,
    )


def constant(value: str | None) -> Callable[[], str | None]:
    return lambda: value


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_choice(case: Case) -> None:
    assert choose(case.wanted, machine(case)).name == case.want


def test_every_choice_says_why() -> None:
    assert all(choose(case.wanted, machine(case)).reason for case in CASES.values())


def test_unknown_provider_in_the_variable_names_the_known_ones() -> None:
    case = Case(environment={"LLMFINETUNE_PROVIDER": "minikube"}, want="")
    with pytest.raises(DevClusterError, match="minikube") as caught:
        choose("auto", machine(case))
    assert "embedded" in caught.value.hint


def layout(folder: Path) -> Layout:
    return Layout(cache=folder / "cache", state=folder / "state")


def test_our_own_kubeconfig_is_no_cluster_of_the_users(tmp_path: Path) -> None:
    ours = layout(tmp_path).kubeconfig
    ours.parent.mkdir(parents=True)
    ours.touch()
    link = tmp_path / "link"
    link.symlink_to(ours)
    assert not has_kubeconfig({"KUBECONFIG": str(ours)}, layout(tmp_path))
    assert not has_kubeconfig({"KUBECONFIG": str(link)}, layout(tmp_path))


def test_a_users_kubeconfig_beside_ours_is_seen(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.touch()
    both = f"{layout(tmp_path).kubeconfig}:{theirs}"
    assert has_kubeconfig({"KUBECONFIG": both}, layout(tmp_path))
    assert not has_kubeconfig({"KUBECONFIG": str(tmp_path / "absent")}, layout(tmp_path))


def test_record_survives_and_only_names_clusters_that_we_make(tmp_path: Path) -> None:
    assert recorded_provider(layout(tmp_path)) is None
    record_provider(layout(tmp_path), "embedded")
    assert recorded_provider(layout(tmp_path)) == "embedded"
    record_provider(layout(tmp_path), "kubeconfig")
    assert recorded_provider(layout(tmp_path)) is None
