"""Configuration files and command lines of what runs on the node: containerd, kubelet, kube-proxy, CoreDNS.

Pure builders, apart from writing the files that they build.
"""

import json
from pathlib import Path

from devcluster.embedded.settings import EmbeddedSettings, Node
from devcluster.pki import KeyPair

CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-run"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugins}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    discard_unpacked_layers = true
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""

COREDNS = """\
.:53 {{
    bind {address}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    {forward}
    cache 5
}}
"""


def containerd_command(
    binary: Path, settings: EmbeddedSettings, node: Node, cni_plugins: Path
) -> list[str | Path]:
    """Write containerd's configuration and return its command."""
    text = CONTAINERD.format(
        folder=node.folder,
        socket=node.containerd_socket,
        pause_image=settings.pause_image,
        cni_plugins=cni_plugins,
    )
    return [binary, "--config", _write(node.folder / "containerd.toml", text)]


def kubelet_command(
    binary: Path, settings: EmbeddedSettings, node: Node, serving: KeyPair
) -> list[str | Path]:
    """Write the kubelet's configuration and return its command."""
    document = kubelet_configuration(settings, node, serving)
    path = _write(node.folder / "kubelet.json", json.dumps(document, indent=1))
    return [
        binary,
        f"--config={path}",
        f"--kubeconfig={settings.component_kubeconfig(node.program('kubelet'))}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--root-dir={node.folder / 'kubelet'}",
        f"--cert-dir={node.folder / 'kubelet-pki'}",
    ]


def kubelet_configuration(settings: EmbeddedSettings, node: Node, serving: KeyPair) -> dict[str, object]:
    """Return the kubelet's configuration; images stay, because nobody could pull them again."""
    resolver = Path("/etc/resolv.conf")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "healthzBindAddress": node.address,
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(settings.plane.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDomain": "cluster.local",
        "clusterDNS": [settings.address],
        "resolvConf": str(resolver) if resolver.exists() else "",
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "podLogsDir": str(node.folder / "pod-logs"),
        "volumePluginDir": str(node.folder / "volume-plugins"),
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "maxPods": 250,
        "oomScoreAdj": 0,
        "readOnlyPort": 0,
        "serializeImagePulls": False,
        "nodeStatusUpdateFrequency": "5s",
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
    }


def kube_proxy_command(binary: Path, settings: EmbeddedSettings) -> list[str | Path]:
    """Write kube-proxy's configuration and return its command; one serves all nodes of a machine."""
    document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(settings.component_kubeconfig("kube-proxy"))},
        "mode": "iptables",
        "clusterCIDR": settings.pod_cidr,
        "hostnameOverride": settings.first_node.name,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "nodePortAddresses": [settings.pod_cidr],
        "oomScoreAdj": 0,
        "iptables": {"localhostNodePorts": False, "minSyncPeriod": "100ms"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    path = _write(settings.state / "kube-proxy.json", json.dumps(document, indent=1))
    return [binary, f"--config={path}"]


def coredns_command(binary: Path, settings: EmbeddedSettings) -> list[str | Path]:
    """Write CoreDNS' configuration and return its command; other names go to the host's resolvers."""
    resolver = Path("/etc/resolv.conf")
    has_servers = resolver.exists() and "nameserver" in resolver.read_text()
    text = COREDNS.format(
        address=settings.address,
        kubeconfig=settings.component_kubeconfig("coredns"),
        forward=f"forward . {resolver}" if has_servers else "",
    )
    return [binary, "-conf", _write(settings.state / "Corefile", text)]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
