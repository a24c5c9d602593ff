"""Says what this machine has and lacks for each provider, before anything is tried."""

import argparse
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby

from devcluster.disk import GIGABYTE, nearest_existing
from devcluster.embedded.cluster import require_root
from devcluster.errors import DevClusterError, ExitCode
from devcluster.gobuild import check_go
from devcluster.images.build import image_name
from devcluster.layout import Layout
from devcluster.packages import IMAGE_BUILD, NODE, missing_packages
from devcluster.providers.base import Provider
from devcluster.providers.choose import choose, has_kubeconfig, provider_of, this_machine
from devcluster.providers.embedded import cold_start_gigabytes

MINIMUM_MEMORY_GB = 8.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at for one provider."""

    provider: str
    what: str
    good: bool
    detail: str


def command(options: argparse.Namespace, layout: Layout) -> int:
    """Print the findings; the exit code says whether the provider that `up` would take could succeed."""
    choice = choose("auto", this_machine(layout))
    found = list(findings(layout))
    if options.output == "json":
        print(json.dumps([asdict(each) for each in found], indent=1))
    else:
        print("\n".join(lines(found)))
        print(f"`up` would take the provider {choice.name}: {choice.reason}")
    good = all(each.good for each in found if each.provider == choice.name)
    return ExitCode.OK if good else ExitCode.MISSING_REQUIREMENT


def lines(found: list[Finding]) -> Iterator[str]:
    """Return the findings below the names of their providers."""
    for provider, group in groupby(found, key=lambda each: each.provider):
        yield f"{provider}:"
        for each in group:
            yield f"  {'ok     ' if each.good else 'MISSING'} {each.what}: {each.detail}"


def findings(layout: Layout) -> Iterator[Finding]:
    """Look at everything that each provider and the image builds need."""
    yield from kubeconfig_findings(provider_of("kubeconfig", layout), layout)
    kind = provider_of("kind", layout)
    tools = tried(kind.name, "kind, Docker and Go", kind.check)
    yield tools
    if tools.good:
        yield tried(kind.name, "Docker's disk", kind.check_room)
    yield from embedded_findings(layout)


def kubeconfig_findings(provider: Provider, layout: Layout) -> Iterator[Finding]:
    """Look at the cluster of the user's, and at the way images get there."""
    if not has_kubeconfig(os.environ, layout):
        yield Finding(provider.name, "cluster", False, "there is no kubeconfig")
        return
    yield tried(provider.name, f"cluster of context {provider.context()!r}", provider.check)
    yield tried(provider.name, "registry for images", lambda: provider.image(image_name("trainer")))
    yield tried(provider.name, "disk", provider.check_room)


def embedded_findings(layout: Layout) -> Iterator[Finding]:
    """Look at this machine."""
    name = "embedded"
    supported = platform.system() == "Linux" and platform.machine() == "x86_64"
    yield Finding(name, "system", supported, f"{platform.system()} {platform.release()} {platform.machine()}")
    yield tried(name, "root", require_root)
    yield tried(name, "Go", check_go)
    missing = [package.name for package in missing_packages((*NODE, *IMAGE_BUILD))]
    can_install = shutil.which("apt-get") is not None
    detail = f"`up` will install: {' '.join(missing)}" if missing else "all there"
    yield Finding(name, "Debian packages", not missing or can_install, detail)
    folder = nearest_existing(layout.cache)
    free, needed = shutil.disk_usage(folder).free / GIGABYTE, cold_start_gigabytes(layout)
    detail = f"{free:.0f} GB free at {folder}; what cluster and images still need is {needed:.0f} GB"
    yield Finding(name, "disk", free >= needed, detail)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE
    yield Finding(name, "memory", memory >= MINIMUM_MEMORY_GB, f"{memory:.0f} GB")


def tried(provider: str, what: str, look: Callable[[], object]) -> Finding:
    """Return what a look came to, in the words of its error where it failed."""
    try:
        look()
    except DevClusterError as error:
        return Finding(provider, what, False, error.with_hint)
    return Finding(provider, what, True, "there")
