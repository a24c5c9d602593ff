"""Which claims get a volume, which volumes go, and what a volume looks like."""

from pathlib import Path
from typing import Any

import pytest

from devcluster.embedded.provisioner import NAME, Provisioner, is_left_over, volume_for, wants_volume


def claim(
    *,
    phase: str = "Pending",
    volume: str = "",
    storage_class: str = "local",
    gone: bool = False,
    mode: str = "ReadWriteOnce",
) -> Any:
    metadata = {"name": "data", "namespace": "ns", "uid": "u1"}
    return {
        "metadata": metadata | ({"deletionTimestamp": "now"} if gone else {}),
        "spec": {
            "storageClassName": storage_class,
            "volumeName": volume,
            "accessModes": [mode],
            "resources": {"requests": {"storage": "1Gi"}},
        },
        "status": {"phase": phase},
    }


def volume(
    *, phase: str = "Released", by: str = NAME, policy: str = "Delete", path: str = "/v/pvc-u1"
) -> Any:
    return {
        "metadata": {"name": "pvc-u1", "annotations": {"pv.kubernetes.io/provisioned-by": by}},
        "spec": {"persistentVolumeReclaimPolicy": policy, "local": {"path": path}},
        "status": {"phase": phase},
    }


CLAIMS = {
    "a pending claim of our class": (claim(), True),
    "a bound claim": (claim(phase="Bound", volume="pv"), False),
    "a claim that names its volume": (claim(volume="pv"), False),
    "a claim of another class": (claim(storage_class="fast"), False),
    "a claim on its way out": (claim(gone=True), False),
}
VOLUMES = {
    "a released volume of ours": (volume(), True),
    "a bound volume": (volume(phase="Bound"), False),
    "a volume of somebody else": (volume(by="other"), False),
    "a volume to retain": (volume(policy="Retain"), False),
}


@pytest.mark.parametrize(("given", "want"), CLAIMS.values(), ids=CLAIMS.keys())
def test_wants_volume(given: Any, want: bool) -> None:
    assert wants_volume(given, {"local"}) is want


@pytest.mark.parametrize(("given", "want"), VOLUMES.values(), ids=VOLUMES.keys())
def test_is_left_over(given: Any, want: bool) -> None:
    assert is_left_over(given) is want


def test_volume_answers_its_claim() -> None:
    made = volume_for(claim(), Path("/v/pvc-u1"), ["node-1"])
    assert made["spec"]["claimRef"]["uid"] == "u1"
    assert made["spec"]["capacity"] == {"storage": "1Gi"}
    assert made["spec"]["local"] == {"path": "/v/pvc-u1"}


@pytest.mark.parametrize(
    ("mode", "want"),
    [
        pytest.param("ReadWriteOnce", ["node-1"], id="one node's"),
        pytest.param("ReadWriteOncePod", ["node-1"], id="one pod's"),
        pytest.param("ReadWriteMany", ["node-1", "node-2"], id="everybody's"),
    ],
)
def test_volume_is_there_on_the_nodes_that_its_mode_allows(mode: str, want: list[str]) -> None:
    made = volume_for(claim(mode=mode), Path("/v/pvc-u1"), ["node-1", "node-2"])
    (term,) = made["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == want


class FakeClient:
    """Holds lists by path and remembers what was written."""

    def __init__(self, lists: dict[str, list[Any]]) -> None:
        self._lists = lists
        self.written: list[tuple[str, str]] = []

    def get_object(self, path: str) -> Any:
        return {"items": self._lists.get(path.partition("?")[0].rpartition("/")[2], [])}

    def request(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        self.written.append((method, path))
        return 200, ""


def test_step_makes_the_folder_and_the_volume(tmp_path: Path) -> None:
    classes = [{"metadata": {"name": "local"}, "provisioner": NAME}]
    client = FakeClient({"storageclasses": classes, "persistentvolumeclaims": [claim()]})
    Provisioner(client, tmp_path, ["node-1"]).step()  # type: ignore[arg-type] # a stand-in for the API
    assert (tmp_path / "pvc-u1").is_dir()
    assert client.written == [("POST", "/api/v1/persistentvolumes")]


def test_step_removes_only_folders_of_its_own(tmp_path: Path) -> None:
    inside, outside = tmp_path / "volumes" / "pvc-u1", tmp_path / "precious"
    inside.mkdir(parents=True)
    outside.mkdir()
    left_over = [volume(path=str(inside)), volume(path=str(outside))]
    client = FakeClient({"persistentvolumes": left_over})
    Provisioner(client, tmp_path / "volumes", ["node-1"]).step()  # type: ignore[arg-type] # a stand-in for the API
    assert not inside.exists()
    assert outside.exists()
