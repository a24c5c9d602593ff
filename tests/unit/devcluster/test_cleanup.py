"""Control groups of a node, with both versions of the kernel's interface."""

from pathlib import Path

import pytest

from devcluster.embedded import cleanup
from devcluster.embedded.settings import Node
from devcluster.errors import DevClusterError

NODE = Node(number=1, folder=Path("/state/node-1"))
LEVELS = ("", "llmfinetune", "llmfinetune/node-1")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cleanup, "CONTROL_GROUPS", tmp_path)
    return tmp_path


def test_version_2_hands_every_controller_down_to_the_nodes_pods(root: Path) -> None:
    (root / "cgroup.controllers").write_text("cpuset cpu memory\n")
    cleanup.make_groups(NODE)
    handed_on = [(root / level / "cgroup.subtree_control").read_text() for level in LEVELS]
    assert handed_on == ["+cpuset +cpu +memory"] * len(LEVELS)


def test_version_1_makes_the_group_in_every_hierarchy_and_gives_it_processors(root: Path) -> None:
    for hierarchy in ("memory", "cpuset"):
        (root / hierarchy).mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        (root / "cpuset" / name).write_text("0-3\n")
    cleanup.make_groups(NODE)
    assert (root / "memory" / NODE.cgroup).is_dir()
    for level in LEVELS[1:]:
        assert (root / "cpuset" / level / "cpuset.cpus").read_text() == "0-3\n"


def test_a_container_that_may_not_make_groups_is_told_what_to_do(root: Path) -> None:
    (root / "cgroup.controllers").write_text("cpu\n")
    (root / "llmfinetune").write_text("in the way, as a read-only file system would be")
    with pytest.raises(DevClusterError, match="cannot make control groups") as caught:
        cleanup.make_groups(NODE)
    assert "--provider kind" in caught.value.hint


@pytest.mark.parametrize("hierarchy", ["", "memory"], ids=["version 2", "version 1"])
def test_groups_go_with_all_below_them(root: Path, hierarchy: str) -> None:
    group = root / hierarchy / "llmfinetune"
    (group / "node-1/kubepods/burstable").mkdir(parents=True)
    cleanup.remove_groups("llmfinetune")
    assert not group.exists()
