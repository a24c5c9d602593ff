"""What a test server leaves behind, and the ports it takes."""

import os
from pathlib import Path

from devcluster.apiserver import PREFIX, free_plane, free_ports, remove_abandoned

NOBODY = 2**22 + 1
"""No process has this id: the kernel's largest is one less."""


def test_only_folders_whose_owner_is_gone_are_removed(tmp_path: Path) -> None:
    names = (f"{PREFIX}{NOBODY}-a", f"{PREFIX}{os.getpid()}-b", f"{PREFIX}unowned", "other")
    for name in names:
        (tmp_path / name).mkdir()
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])


def test_ports_are_different() -> None:
    assert len(set(free_ports(8))) == 8


def test_server_listens_on_loopback_only(tmp_path: Path) -> None:
    plane = free_plane(tmp_path)
    assert plane.url == f"https://127.0.0.1:{plane.port}"
    assert plane.etcd_url.startswith("http://127.0.0.1:")
    assert "IP:127.0.0.1" in plane.certificate_names()
