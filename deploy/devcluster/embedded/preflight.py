"""What would make the embedded cluster fail or do harm on this machine, found before anything is changed."""

import json
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from typing import Any

from devcluster.command import run, run_unchecked
from devcluster.embedded.settings import EmbeddedSettings
from devcluster.errors import DevClusterError

SOCKET_PATH_LIMIT = 100
"""The kernel allows 107 bytes; a little room is left for what containerd appends."""


def check(settings: EmbeddedSettings) -> None:
    """Raise when the machine is not fit for the cluster; says nothing when an earlier run made it so."""
    check_socket_path(settings)
    if (settings.state / "host-settings.json").exists():
        return
    check_routes(settings, json.loads(run(["ip", "-json", "-4", "route", "show"])))
    saved = run_unchecked(["iptables-save"]).stdout
    if "KUBE-SERVICES" in saved:
        raise DevClusterError(
            "this machine is a Kubernetes node already: its packet filter has kube-proxy's chains",
            hint="use --provider kubeconfig or kind here; a second kube-proxy would break the first",
        )


def check_socket_path(settings: EmbeddedSettings) -> None:
    """Raise when the state folder's path is too long for a socket."""
    if any(len(str(node.containerd_socket)) > SOCKET_PATH_LIMIT for node in settings.nodes):
        raise DevClusterError(
            f"the path of the state folder is too long for a socket: {settings.state}",
            hint="point XDG_STATE_HOME at a folder with a shorter path",
        )


def check_routes(settings: EmbeddedSettings, routes: Iterable[Mapping[str, Any]]) -> None:
    """Raise when the machine already routes the cluster's addresses elsewhere."""
    ours = [IPv4Network(settings.pod_cidr), IPv4Network(settings.service_cidr)]
    for route in routes:
        target = str(route["dst"])
        if target == "default" or route.get("dev") == settings.bridge:
            continue
        if any(IPv4Network(target, strict=False).overlaps(network) for network in ours):
            raise DevClusterError(
                f"{settings.pod_cidr} and {settings.service_cidr}, the cluster's, overlap with the route "
                f"to {target} over {route.get('dev')}",
                hint="use --provider kind, or remove that route (often a VPN's)",
            )
