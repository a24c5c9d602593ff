"""What comes from Debian packages: announced before it is installed, and never installed without root."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster.command import run
from devcluster.errors import MissingRequirementError

POLICY = Path("/usr/sbin/policy-rc.d")
SEARCH_PATH = os.pathsep.join(("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/lib/cni", "/opt/cni/bin"))


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package and a program by which to see whether it is there."""

    name: str
    program: str

    def path(self) -> Path | None:
        """Return the program if the package (or another source of it) is installed."""
        found = shutil.which(self.program, path=os.environ.get("PATH", "") + os.pathsep + SEARCH_PATH)
        return Path(found) if found else None


ETCD = Package("etcd-server", "etcd")
CONTAINERD = Package("containerd", "containerd")
RUNC = Package("runc", "runc")
CNI_PLUGINS = Package("containernetworking-plugins", "host-local")
IPTABLES = Package("iptables", "iptables")
CONNTRACK = Package("conntrack", "conntrack")
IPROUTE = Package("iproute2", "ip")
OPENSSL = Package("openssl", "openssl")
BUILDAH = Package("buildah", "buildah")
DEBOOTSTRAP = Package("debootstrap", "debootstrap")

NODE = (ETCD, CONTAINERD, RUNC, CNI_PLUGINS, IPTABLES, CONNTRACK, IPROUTE, OPENSSL)
IMAGE_BUILD = (BUILDAH, DEBOOTSTRAP, RUNC)


def missing_packages(packages: Iterable[Package]) -> list[Package]:
    """Return the packages whose program is not there."""
    return [package for package in packages if package.path() is None]


def ensure_packages(packages: Iterable[Package]) -> dict[str, Path]:
    """Install what is missing and return every package's program."""
    wanted = list(packages)
    missing = missing_packages(wanted)
    if missing:
        install(missing)
    return {package.name: path for package in wanted if (path := package.path())}


def install(packages: Iterable[Package]) -> None:
    """Install packages with apt, after saying so; services that come along are not started."""
    names = [package.name for package in packages]
    command = f"apt-get install --no-install-recommends {' '.join(names)}"
    if shutil.which("apt-get") is None:
        raise MissingRequirementError(
            f"missing: {', '.join(names)}, and this machine has no apt-get",
            hint="install these with the system's own package manager, or use --provider kind",
        )
    if os.geteuid() != 0:
        raise MissingRequirementError(f"missing: {', '.join(names)}", hint=f"sudo {command}")
    print(f"installing Debian packages: {', '.join(names)}", file=sys.stderr, flush=True)
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-q"], env=environment)
    with services_held_back():
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *names], env=environment)


@contextmanager
def services_held_back() -> Iterator[None]:
    """Keep packages from starting their services: this tool runs its own, with its own folders.

    Debian asks the policy program before it starts a service; a policy that is there already stays.
    """
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
