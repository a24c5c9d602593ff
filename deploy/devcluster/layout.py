"""Where everything lies: caches that outlive clusters, and the state of one cluster.

Both roots follow the XDG variables; nothing else of the package invents a path.
"""

import os
from dataclasses import dataclass
from pathlib import Path


def xdg_directory(variable: str, default: str) -> Path:
    """Return the product's folder under an XDG root."""
    root = os.environ.get(variable) or str(Path.home() / default)
    return Path(root) / "llmfinetune"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one cluster and of the caches it shares with others."""

    cache: Path
    state: Path

    @classmethod
    def from_environment(cls) -> "Layout":
        """Return the folders that this user's environment asks for."""
        return cls(
            cache=xdg_directory("XDG_CACHE_HOME", ".cache"),
            state=xdg_directory("XDG_STATE_HOME", ".local/state") / "cluster",
        )

    @property
    def binaries(self) -> Path:
        """Built programs, one folder a version and recipe."""
        return self.cache / "bin"

    @property
    def images(self) -> Path:
        """Image builder's storage, and the logs of what it does."""
        return self.cache / "images"

    @property
    def archives(self) -> Path:
        """Whole images on their way to a cluster in Docker: gigabytes, which `/tmp` may keep in memory."""
        return self.cache / "archives"

    @property
    def logs(self) -> Path:
        """One log file a component."""
        return self.state / "logs"

    @property
    def processes(self) -> Path:
        """One record a running process."""
        return self.state / "processes"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig of the cluster this tool made."""
        return self.state / "kubeconfig"

    @property
    def provider_record(self) -> Path:
        """Which provider the last `up` took, so that later commands address the same cluster."""
        return self.state / "provider.json"
