"""Machines that the embedded cluster refuses before it changes anything."""

from pathlib import Path
from typing import Any

import pytest

from devcluster.embedded.preflight import check_routes, check_socket_path
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.errors import DevClusterError
from devcluster.layout import Layout

FINE: dict[str, list[dict[str, Any]]] = {
    "only a default route": [{"dst": "default", "dev": "eth0"}],
    "a neighbouring network": [{"dst": "10.216.0.0/16", "dev": "eth0"}],
    "the cluster's own bridge": [{"dst": "10.217.0.0/16", "dev": "llmft0"}],
}
TAKEN: dict[str, list[dict[str, Any]]] = {
    "a network around ours": [{"dst": "10.0.0.0/8", "dev": "tun0"}],
    "a host within ours": [{"dst": "10.218.3.4", "dev": "tun0"}],
}


def settings(state: Path) -> EmbeddedSettings:
    return EmbeddedSettings(layout=Layout(cache=state, state=state))


@pytest.mark.parametrize("routes", FINE.values(), ids=FINE.keys())
def test_routes_that_leave_our_addresses_alone(tmp_path: Path, routes: list[dict[str, Any]]) -> None:
    check_routes(settings(tmp_path), routes)


@pytest.mark.parametrize("routes", TAKEN.values(), ids=TAKEN.keys())
def test_routes_that_take_our_addresses_are_named(tmp_path: Path, routes: list[dict[str, Any]]) -> None:
    with pytest.raises(DevClusterError, match="tun0"):
        check_routes(settings(tmp_path), routes)


def test_path_too_long_for_a_socket_says_what_to_set() -> None:
    check_socket_path(settings(Path("/short")))
    with pytest.raises(DevClusterError) as caught:
        check_socket_path(settings(Path("/long" * 30)))
    assert "XDG_STATE_HOME" in caught.value.hint
