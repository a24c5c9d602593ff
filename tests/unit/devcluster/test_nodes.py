"""Two nodes of one machine write nothing in common, and share what the machine has once."""

import json
from pathlib import Path
from typing import Any

import pytest

from devcluster.embedded import node as commands
from devcluster.embedded.network import pod_interfaces, write_cni_configuration
from devcluster.embedded.settings import EmbeddedSettings, Node
from devcluster.layout import Layout
from devcluster.pki import KeyPair

SERVING = KeyPair(Path("/pki/s.crt"), Path("/pki/s.key"))


@pytest.fixture
def settings(tmp_path: Path) -> EmbeddedSettings:
    return EmbeddedSettings(layout=Layout(cache=tmp_path / "cache", state=tmp_path / "state"))


@pytest.fixture
def pair(settings: EmbeddedSettings) -> tuple[Node, Node]:
    return settings.first_node, settings.node(2)


OWN = {
    "name": lambda node: node.name,
    "address": lambda node: node.address,
    "folder": lambda node: node.folder,
    "control group": lambda node: node.cgroup,
    "containerd's socket": lambda node: node.containerd_socket,
    "notes of the network plugins": lambda node: node.network,
    "name of its kubelet": lambda node: node.program("kubelet"),
}


@pytest.mark.parametrize("own", OWN.values(), ids=OWN.keys())
def test_each_node_has_its_own(pair: tuple[Node, Node], own: Any) -> None:
    first, second = pair
    assert own(first) != own(second)


def test_notes_of_one_node_are_not_taken_for_the_others(pair: tuple[Node, Node]) -> None:
    first, second = pair
    assert not Path(f"{second.network}-abc-eth0").match(f"{first.network}-*-eth0")


def test_pods_addresses_collide_with_none_of_another_node_or_its_pods(
    settings: EmbeddedSettings, pair: tuple[Node, Node]
) -> None:
    first, second = pair
    assert not first.pod_range.overlaps(second.pod_range)
    assert all(node.address not in map(str, other.pod_range) for node in pair for other in pair)
    ranges = []
    for node in pair:
        document = json.loads(write_cni_configuration(settings, node).read_text())
        ipam = document["plugins"][0]["ipam"]
        assert ipam["dataDir"].startswith(str(node.folder))
        ((given,),) = ipam["ranges"]
        assert (given["subnet"], given["gateway"]) == (settings.pod_cidr, settings.address)
        ranges.append((given["rangeStart"], given["rangeEnd"]))
    assert ranges == [("10.217.64.1", "10.217.127.254"), ("10.217.128.1", "10.217.191.254")]


def test_kubelets_share_the_cluster_and_no_folder(
    settings: EmbeddedSettings, pair: tuple[Node, Node]
) -> None:
    first, second = (commands.kubelet_configuration(settings, node, SERVING) for node in pair)
    shared = {key for key in first if first[key] == second[key]}
    assert {"clusterDNS", "clusterDomain", "authentication", "readOnlyPort"} <= shared
    assert {
        "address",
        "healthzBindAddress",
        "cgroupRoot",
        "containerRuntimeEndpoint",
        "podLogsDir",
        "volumePluginDir",
    } == set(first) - shared


def test_commands_lie_below_their_node(settings: EmbeddedSettings, pair: tuple[Node, Node]) -> None:
    for node in pair:
        kubelet = commands.kubelet_command(Path("/kubelet"), settings, node, SERVING)
        folders = [str(part) for part in kubelet if "-dir=" in str(part) or "--config=" in str(part)]
        assert len(folders) == 3
        assert all(f"={node.folder}/" in part for part in folders)
        containerd = commands.containerd_command(Path("/containerd"), settings, node, Path("/cni"))
        text = Path(containerd[-1]).read_text()
        assert f'root = "{node.folder}/containerd"' in text
        assert str(node.containerd_socket) in text


def test_a_cluster_has_one_node_until_another_is_added(
    settings: EmbeddedSettings, pair: tuple[Node, Node]
) -> None:
    first, second = pair
    assert settings.nodes == [first]
    second.folder.mkdir(parents=True)
    assert settings.nodes == [first, second]


NOTES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a pod's": (
        {
            "interfaces": [
                {"name": "llmft0"},
                {"name": "veth1234"},
                {"name": "eth0", "sandbox": "/run/netns/x"},
            ]
        },
        ["veth1234"],
    ),
    "one without interfaces": ({}, []),
}


@pytest.mark.parametrize(("result", "want"), NOTES.values(), ids=NOTES.keys())
def test_cutting_a_pod_off_leaves_the_bridge(result: dict[str, Any], want: list[str]) -> None:
    assert pod_interfaces({"result": result}) == want
