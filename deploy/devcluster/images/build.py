"""Builds the operator's and the trainer's image, with buildah or, for kind, with Docker."""

import os
import tempfile
from pathlib import Path

from devcluster.command import run
from devcluster.disk import require_free
from devcluster.embedded.cluster import require_root
from devcluster.images import host_settings
from devcluster.images.storage import Storage
from devcluster.kubeconfig import write_private
from devcluster.layout import Layout
from devcluster.lock import exclusive
from devcluster.progress import Progress

REPOSITORY = Path(__file__).parents[3]
NEEDED_GB = {"operator": 2.0, "trainer": 10.0}


def image_name(name: str) -> str:
    """Return the name under which an image is known everywhere."""
    return f"docker.io/llmfinetune/{name}:dev"


def build_image(name: str, layout: Layout, progress: Progress, *, docker: bool = False) -> None:
    """Build one image; layers whose inputs are unchanged are taken from the last build."""
    if docker:
        with progress.step(f"building {image_name(name)} with Docker"):
            run(["docker", "build", "--file", dockerfile(name), "--tag", image_name(name), REPOSITORY])
        return
    require_root()
    require_free(layout.images, NEEDED_GB[name])
    with exclusive(layout.cache / "images.lock", "another image build"):
        storage = Storage(layout)
        storage.ensure_base(progress)
        with progress.step(f"building {image_name(name)}"):
            _build(name, storage)


def dockerfile(name: str) -> Path:
    """Return the recipe of an image."""
    return REPOSITORY / f"Dockerfile.{name}"


def _build(name: str, storage: Storage) -> None:
    cache = host_settings.uv_cache()
    cache.mkdir(parents=True, exist_ok=True)
    log = storage.layout.images / f"build-{name}.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="llmfinetune-") as folder:
        storage.buildah(
            *("bud", "--layers", "--pull-never", "--format", "oci"),
            *("--volume", f"{cache}:{host_settings.CACHE}:rw"),
            *_secrets(Path(folder)),
            *("--file", dockerfile(name), "--tag", image_name(name), REPOSITORY),
            log=log,
        )


def _secrets(folder: Path) -> list[str]:
    text = host_settings.exports(os.environ, host_settings.pip_configuration(), cached=True)
    settings = write_private(folder / "host-settings", text)
    found = ["--secret", f"id=host-settings,src={settings}"]
    if bundle := host_settings.certificates():
        found += ["--secret", f"id=host-certificates,src={bundle}"]
    return found
