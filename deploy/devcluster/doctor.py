"""Says what this machine has and lacks for each provider, before anything is tried."""

import argparse
import json
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from devcluster.components import CLUSTER
from devcluster.disk import GIGABYTE, nearest_existing
from devcluster.docker import docker_answers
from devcluster.embedded.cluster import COLD_BUILD_GB, RUN_GB
from devcluster.errors import DevClusterError, ExitCode
from devcluster.gobuild import GoBuilder, check_go
from devcluster.images.build import NEEDED_GB, built_before
from devcluster.layout import Layout
from devcluster.packages import IMAGE_BUILD, NODE, missing_packages
from devcluster.providers.choose import choose, this_machine

MINIMUM_MEMORY_GB = 8.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    detail: str


def command(options: argparse.Namespace, layout: Layout) -> int:
    """Print the findings; the exit code says whether the embedded cluster could come up here."""
    found = list(findings(layout))
    if options.output == "json":
        print(json.dumps([asdict(each) for each in found], indent=1))
    else:
        for each in found:
            print(f"{'ok     ' if each.good else 'MISSING'} {each.what}: {each.detail}")
        choice = choose("auto", this_machine(layout))
        print(f"`up` would take the provider {choice.name}: {choice.reason}")
    return ExitCode.OK if all(each.good for each in found) else ExitCode.MISSING_REQUIREMENT


def findings(layout: Layout) -> Iterator[Finding]:
    """Look at everything that the embedded cluster and the image builds need."""
    supported = platform.system() == "Linux" and platform.machine() == "x86_64"
    yield Finding("system", supported, f"{platform.system()} {platform.release()} {platform.machine()}")
    yield Finding("root", os.geteuid() == 0, "root" if os.geteuid() == 0 else "not root: use sudo -E")
    yield go_finding(layout)
    missing = [package.name for package in missing_packages((*NODE, *IMAGE_BUILD))]
    can_install = shutil.which("apt-get") is not None
    detail = f"`up` will install: {' '.join(missing)}" if missing else "all there"
    yield Finding("Debian packages", not missing or can_install, detail)
    folder = nearest_existing(layout.cache)
    free = shutil.disk_usage(folder).free / GIGABYTE
    needed = cold_start_gigabytes(layout)
    detail = f"{free:.0f} GB free at {folder}; what cluster and images still need is {needed:.0f} GB"
    yield Finding("disk", free >= needed, detail)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE
    yield Finding("memory", memory >= MINIMUM_MEMORY_GB, f"{memory:.0f} GB")
    yield Finding("Docker (not needed)", True, "a daemon answers" if docker_answers() else "no daemon")


def cold_start_gigabytes(layout: Layout) -> float:
    """Return the room that cluster and images still need, at the most that it takes at any time."""
    programs = COLD_BUILD_GB if GoBuilder(layout).missing(CLUSTER) else 0.0
    return RUN_GB + programs + sum(NEEDED_GB[name] for name in NEEDED_GB if not built_before(name, layout))


def go_finding(layout: Layout) -> Finding:
    """Say whether Go is good enough, or not needed because everything is built."""
    missing = [component.name for component in GoBuilder(layout).missing(CLUSTER)]
    if not missing:
        return Finding("Go programs", True, "all built")
    try:
        check_go()
    except DevClusterError as error:
        return Finding("Go", False, f"{error} ({error.hint})")
    return Finding("Go", True, f"there; still to build: {', '.join(missing)}")
