"""The pod network: a bridge that has the nodes' addresses, forwarding, and the rules that go away with it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devcluster.command import find_tool, run, run_unchecked
from devcluster.embedded.settings import EmbeddedSettings, Node
from devcluster.errors import DevClusterError

RULE_COMMENT = "llmfinetune-dev-cluster"
FILTER_MODULE = "br_netfilter"
"""Kernel module that lets iptables see a bridge's packets. Nothing loads it by itself."""
FILTER_SETTING = "net/bridge/bridge-nf-call-iptables"
"""There only while that module is."""
HOST_SETTINGS = (
    "net/ipv4/ip_forward",
    FILTER_SETTING,
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
)
WANTED_SETTINGS = {"net/ipv4/ip_forward": "1", FILTER_SETTING: "1"}
PLUGIN_NOTES = Path("/var/lib/cni/results")
"""Where the network plugins' library keeps its results; the place is fixed."""
KERNEL_SETTINGS = Path("/proc/sys")


def bring_up(settings: EmbeddedSettings) -> None:
    """Make the bridge, turn forwarding on, and let pods' packets pass."""
    change_host_settings(settings)
    if not bridge_exists(settings):
        run(["ip", "link", "add", settings.bridge, "type", "bridge"])
    for node in settings.nodes:
        add_address(settings, node)
    run(["ip", "link", "set", settings.bridge, "up"])
    for rule in host_rules(settings):
        if run_unchecked(["iptables", "-w", *rule.check]).returncode != 0:
            run(["iptables", "-w", *rule.insert])


def add_address(settings: EmbeddedSettings, node: Node) -> None:
    """Give the bridge a node's address, and the node its way to give addresses to pods."""
    run(["ip", "address", "replace", _on_bridge(settings, node), "dev", settings.bridge])
    write_cni_configuration(settings, node)


def remove_address(settings: EmbeddedSettings, node: Node) -> None:
    """Take a node's address from the bridge."""
    run_unchecked(["ip", "address", "delete", _on_bridge(settings, node), "dev", settings.bridge])


def tear_down(settings: EmbeddedSettings) -> None:
    """Remove rules, bridge and address records, and put the host's settings back."""
    for rule in host_rules(settings):
        while run_unchecked(["iptables", "-w", *rule.delete]).returncode == 0:
            pass
    remove_kubernetes_chains()
    if bridge_exists(settings):
        run(["ip", "link", "delete", settings.bridge])
    for node in settings.nodes:
        forget_pod_addresses(node)
    restore_host_settings(settings)


def bridge_exists(settings: EmbeddedSettings) -> bool:
    """Say whether the bridge is there."""
    return Path("/sys/class/net", settings.bridge).exists()


def forget_pod_addresses(node: Node) -> None:
    """Free the addresses of pods that are no more, and drop what the plugins noted about them."""
    shutil.rmtree(node.folder / "pod-addresses", ignore_errors=True)
    for note in _notes(node):
        pod = note.name.removeprefix(f"{node.network}-").removesuffix("-eth0")
        note.unlink()
        (PLUGIN_NOTES / f"cni-loopback-{pod}-lo").unlink(missing_ok=True)


def cut_off(node: Node) -> None:
    """Take the interfaces of a node's pods away: nobody hears of anything that happens to them afterwards."""
    for note in _notes(node):
        for interface in pod_interfaces(json.loads(note.read_text())):
            run_unchecked(["ip", "link", "delete", interface])


def pod_interfaces(note: Mapping[str, Any]) -> list[str]:
    """Return the host's ends of a pod's interfaces, from what the network plugins noted."""
    interfaces = note["result"].get("interfaces", ())
    return [
        each["name"] for each in interfaces if not each.get("sandbox") and each["name"].startswith("veth")
    ]


def _notes(node: Node) -> list[Path]:
    return list(PLUGIN_NOTES.glob(f"{node.network}-*-eth0"))


def _on_bridge(settings: EmbeddedSettings, node: Node) -> str:
    return f"{node.address}/{settings.prefix_length}"


class Rule:
    """One packet filter rule, as the three commands that look for, insert and delete it."""

    def __init__(self, table: str, chain: str, *match: str) -> None:
        body = (chain, *match, "-m", "comment", "--comment", RULE_COMMENT)
        self.check = ("-t", table, "-C", *body)
        self.insert = ("-t", table, "-I", *body)
        self.delete = ("-t", table, "-D", *body)


def host_rules(settings: EmbeddedSettings) -> list[Rule]:
    """Return our rules: pods may talk to each other and, behind the host's address, to the outside."""
    outside = ("-s", settings.pod_cidr, "!", "-d", settings.pod_cidr, "!", "-o", settings.bridge)
    return [
        Rule("filter", "FORWARD", "-i", settings.bridge, "-j", "ACCEPT"),
        Rule("filter", "FORWARD", "-o", settings.bridge, "-j", "ACCEPT"),
        Rule("nat", "POSTROUTING", *outside, "-j", "MASQUERADE"),
    ]


def remove_kubernetes_chains() -> None:
    """Remove the chains of kubelet and kube-proxy, which survive them."""
    for family in ("iptables", "ip6tables"):
        for table in ("filter", "nat", "mangle"):
            saved = run_unchecked([f"{family}-save", "-t", table])
            kept = without_kubernetes(saved.stdout)
            if saved.returncode == 0 and kept != saved.stdout:
                run([f"{family}-restore", "-w", "-T", table], input_text=kept)


def without_kubernetes(rules: str) -> str:
    """Return saved rules without chains named KUBE-* and rules that mention them."""
    lines = (line for line in rules.splitlines() if "KUBE-" not in line)
    return "\n".join(lines) + "\n"


def write_cni_configuration(settings: EmbeddedSettings, node: Node) -> Path:
    """Write how a pod gets its interface: a port of the bridge, an address, a route."""
    folder = node.folder / "cni"
    folder.mkdir(parents=True, exist_ok=True)
    addresses = {
        "subnet": settings.pod_cidr,
        "rangeStart": str(node.pod_range[1]),
        "rangeEnd": str(node.pod_range[-2]),
        "gateway": settings.address,
    }
    bridge = {
        "type": "bridge",
        "bridge": settings.bridge,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(node.folder / "pod-addresses"),
            "ranges": [[addresses]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    document = {"cniVersion": "0.4.0", "name": node.network, "plugins": plugins}
    path = folder / "10-bridge.conflist"
    path.write_text(json.dumps(document, indent=1))
    return path


def change_host_settings(settings: EmbeddedSettings) -> None:
    """Turn on what pods' packets need, after recording what was."""
    remember_host_settings(settings)
    if read_host_setting(FILTER_SETTING) is None:
        _modprobe(FILTER_MODULE)
    for name, value in WANTED_SETTINGS.items():
        write_host_setting(name, value)


def remember_host_settings(settings: EmbeddedSettings) -> None:
    """Record what the cluster is about to change; an earlier record is the truth and stays."""
    record = settings.state / "host-settings.json"
    if record.exists():
        return
    values = {name: read_host_setting(name) for name in HOST_SETTINGS}
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))


def restore_host_settings(settings: EmbeddedSettings) -> None:
    """Put back what was recorded."""
    record = settings.state / "host-settings.json"
    if not record.exists():
        return
    values = json.loads(record.read_text())
    for name, value in values.items():
        if read_host_setting(name) != value:
            write_host_setting(name, value)
    if FILTER_SETTING not in values and read_host_setting(FILTER_SETTING) is not None:
        _modprobe("--remove", FILTER_MODULE)
    record.unlink()


def read_host_setting(name: str) -> str | None:
    """Return a kernel setting, or None where this kernel has no such."""
    try:
        return (KERNEL_SETTINGS / name).read_text().strip()
    except OSError:
        return None


def write_host_setting(name: str, value: str) -> None:
    """Change a kernel setting."""
    try:
        (KERNEL_SETTINGS / name).write_text(value)
    except OSError as error:
        raise DevClusterError(
            f"cannot set the kernel's {name.replace('/', '.')} to {value}: {error.strerror}",
            hint="load the module br_netfilter (modprobe br_netfilter), or use --provider kind",
        ) from error


def _modprobe(*arguments: str) -> None:
    run_unchecked([find_tool("modprobe", hint="apt-get install kmod"), *arguments])
