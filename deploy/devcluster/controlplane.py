"""Command lines of etcd and of the Kubernetes control plane, from one description of where it lives.

Pure: nothing here starts anything. The API-only server of the tests and the embedded cluster differ in
addresses and in what runs beside them, not in how these programs are set up.
"""

from dataclasses import dataclass
from pathlib import Path

from devcluster.pki import Authority, KeyPair

ENVIRONMENT = {"GOGC": "400"}
"""A small cluster's programs hold little, and would look through all of it for garbage all the time."""
SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlPlane:
    """Addresses and folders of one control plane."""

    folder: Path
    """Data and keys lie below it."""
    address: str
    """Where the API server listens; loopback or the pod bridge."""
    port: int
    etcd_port: int
    etcd_peer_port: int
    service_cidr: str
    service_address: str
    """First address of `service_cidr`, which the API server takes for itself."""
    pod_cidr: str = ""

    @property
    def url(self) -> str:
        """Where clients reach the API server."""
        return f"https://{self.address}:{self.port}"

    @property
    def etcd_url(self) -> str:
        """Where the API server reaches etcd."""
        return f"http://127.0.0.1:{self.etcd_port}"

    @property
    def authority(self) -> Authority:
        """The certificate authority."""
        return Authority(self.folder / "pki")

    def certificate_names(self) -> list[str]:
        """Names that the API server's certificate must carry."""
        domains = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
        addresses = dict.fromkeys(("127.0.0.1", self.address, self.service_address))
        return [
            *(f"DNS:{name}" for name in (*domains, "kubernetes.default.svc.cluster.local")),
            *(f"IP:{address}" for address in addresses),
        ]


def etcd_command(etcd: Path, plane: ControlPlane) -> list[str | Path]:
    """Return the command of etcd, on loopback only."""
    peer = f"http://127.0.0.1:{plane.etcd_peer_port}"
    return [
        etcd,
        *("--name=dev", f"--data-dir={plane.folder / 'etcd'}", "--logger=zap", "--log-level=warn"),
        *(f"--listen-client-urls={plane.etcd_url}", f"--advertise-client-urls={plane.etcd_url}"),
        *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
        f"--initial-cluster=dev={peer}",
        *("--snapshot-count=10000", "--auto-compaction-retention=5m", "--quota-backend-bytes=2147483648"),
    ]


def apiserver_command(
    binary: Path, plane: ControlPlane, serving: KeyPair, kubelet: KeyPair
) -> list[str | Path]:
    """Return the command of kube-apiserver: RBAC, node authorization, token requests and reviews."""
    authority, key = plane.authority.certificate, plane.authority.service_account_key()
    on_loopback = plane.address.startswith("127.")
    return [
        binary,
        *(f"--etcd-servers={plane.etcd_url}", "--etcd-prefix=/registry"),
        *(f"--bind-address={plane.address}", f"--secure-port={plane.port}"),
        *(("--endpoint-reconciler-type=none",) if on_loopback else (f"--advertise-address={plane.address}",)),
        *(f"--tls-cert-file={serving.certificate}", f"--tls-private-key-file={serving.key}"),
        f"--client-ca-file={authority}",
        f"--service-cluster-ip-range={plane.service_cidr}",
        *(f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}", f"--service-account-key-file={key}"),
        f"--service-account-signing-key-file={key}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        *(f"--kubelet-client-certificate={kubelet.certificate}", f"--kubelet-client-key={kubelet.key}"),
        f"--kubelet-certificate-authority={authority}",
        "--kubelet-preferred-address-types=InternalIP",
        *("--allow-privileged=true", "--profiling=false", "--event-ttl=2h"),
        *("--requestheader-client-ca-file=" + str(authority), "--requestheader-allowed-names=front-proxy"),
        *("--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--max-requests-inflight=800",
    ]


def controller_manager_command(binary: Path, plane: ControlPlane, kubeconfig: Path) -> list[str | Path]:
    """Return the command of kube-controller-manager."""
    pods = ("--allocate-node-cidrs=false", f"--cluster-cidr={plane.pod_cidr}") if plane.pod_cidr else ()
    return [
        binary,
        *_client_flags(kubeconfig),
        *("--bind-address=127.0.0.1", "--secure-port=0"),
        f"--root-ca-file={plane.authority.certificate}",
        f"--service-account-private-key-file={plane.authority.service_account_key()}",
        f"--cluster-signing-cert-file={plane.authority.certificate}",
        f"--cluster-signing-key-file={plane.authority.key}",
        *("--use-service-account-credentials=true", "--leader-elect=false", "--profiling=false"),
        *("--kube-api-qps=200", "--kube-api-burst=400", "--concurrent-gc-syncs=20"),
        *pods,
    ]


def scheduler_command(binary: Path, kubeconfig: Path) -> list[str | Path]:
    """Return the command of kube-scheduler."""
    return [
        binary,
        *_client_flags(kubeconfig),
        *("--bind-address=127.0.0.1", "--secure-port=0", "--leader-elect=false", "--profiling=false"),
        *("--kube-api-qps=200", "--kube-api-burst=400"),
    ]


def _client_flags(kubeconfig: Path) -> tuple[str, ...]:
    flags = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return tuple(f"--{flag}={kubeconfig}" for flag in flags)
