"""Builds components from their Go modules into the cache, once a version and recipe."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from devcluster.command import find_tool, run
from devcluster.components import Component
from devcluster.errors import MissingRequirementError
from devcluster.layout import Layout
from devcluster.lock import exclusive
from devcluster.progress import Progress
from devcluster.versions import major_minor

GO_HINT = "install Go 1.26 or newer (https://go.dev/doc/install) and put `go` on PATH"
MINIMUM_GO = (1, 26)


@dataclass(frozen=True, slots=True)
class GoBuilder:
    """Turns components into programs; a program that is there already costs nothing."""

    layout: Layout

    def missing(self, components: Iterable[Component]) -> list[Component]:
        """Return the components that have yet to be built."""
        return [each for each in components if not each.binary(self.layout.binaries).exists()]

    def path(self, component: Component) -> Path:
        """Return the built program; raise when it has not been built."""
        binary = component.binary(self.layout.binaries)
        if not binary.exists():
            raise MissingRequirementError(
                f"{component.name} {component.version} has not been built",
                hint=f"python3 -m devcluster build {component.name}",
            )
        return binary

    def ensure(self, components: Iterable[Component], progress: Progress) -> None:
        """Build what is missing; a second process that wants the same waits for the first."""
        wanted = list(components)
        if not self.missing(wanted):
            return
        check_go()
        with exclusive(self.layout.cache / "build.lock", "another build"):
            for component in self.missing(wanted):
                about = (
                    f"building {component.name} {component.version}, about {component.cold_seconds} s cold"
                )
                with progress.step(about):
                    self._build(component)

    def _build(self, component: Component) -> None:
        binary = component.binary(self.layout.binaries)
        binary.parent.mkdir(parents=True, exist_ok=True)
        unfinished = binary.with_suffix(".unfinished")
        run(
            [
                *("nice", "-n", "5", "go", "build", "-trimpath", "-mod=readonly"),
                *("-tags", ",".join(component.tags)),
                *("-ldflags", component.linker_flags),
                *("-o", unfinished, component.package),
            ],
            cwd=component.source,
            env={"CGO_ENABLED": "0", "GOWORK": "off"},
        )
        os.replace(unfinished, binary)

    def module_folder(self, component: Component) -> Path:
        """Return the folder of the component's module, where its manifests lie; Go knows, and fetches it."""
        check_go()
        described = run(
            ["go", "mod", "download", "-json", component.module],
            cwd=component.source,
            env={"GOWORK": "off"},
        )
        return Path(json.loads(described)["Dir"])


def check_go() -> None:
    """Raise unless a Go that can fetch and build the components is on PATH."""
    find_tool("go", hint=GO_HINT)
    version = run(["go", "env", "GOVERSION"]).strip()
    if major_minor(version) < MINIMUM_GO:
        raise MissingRequirementError(f"Go is {version}, which is too old", hint=GO_HINT)
