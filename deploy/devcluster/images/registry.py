"""Pushes images to the registry from which a cluster of the user's own pulls them."""

import os
from dataclasses import dataclass
from pathlib import Path

from devcluster.command import run
from devcluster.errors import DevClusterError
from devcluster.images.build import builds_with_docker, inputs_digest
from devcluster.images.storage import Storage
from devcluster.images.store import full_name
from devcluster.layout import Layout

VARIABLE = "LLMFINETUNE_REGISTRY"
TAG_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry, and the path in it below which images are put."""

    layout: Layout
    prefix: str

    @classmethod
    def from_environment(cls, layout: Layout) -> "Registry":
        """Return the registry that the environment names; raise when it names none."""
        prefix = os.environ.get(VARIABLE, "").rstrip("/")
        if not prefix:
            raise DevClusterError(
                f"a cluster of yours pulls images from a registry, and {VARIABLE} names none",
                hint=f"{VARIABLE}=HOST/PATH names one that you may push to and the cluster can pull from; "
                "LLMFINETUNE_PROVIDER=embedded takes a cluster on this machine instead",
            )
        return cls(layout, prefix)

    def name_of(self, image: str) -> str:
        """Return an image's name there; its tag follows what it is made of, so that nodes pull it anew."""
        name = image.rpartition("/")[2].partition(":")[0]
        return f"{self.prefix}/{name}:{inputs_digest(name)[:TAG_LENGTH]}"

    def push(self, image: str) -> None:
        """Push an image that was built here, with the credentials of `docker login` or `buildah login`."""
        local, there = full_name(image), self.name_of(image)
        if builds_with_docker("kubeconfig"):
            run(["docker", "tag", local, there])
            run(["docker", "push", there])
            return
        Storage(self.layout).buildah("push", "--quiet", local, f"docker://{there}", log=self._log())

    def _log(self) -> Path:
        return self.layout.images / "push.log"
