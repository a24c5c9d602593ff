"""Builds the operator's and the trainer's image, with buildah or, where a daemon answers, with Docker."""

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

from devcluster import docker
from devcluster.command import run
from devcluster.disk import require_free
from devcluster.embedded.cluster import require_root
from devcluster.images import host_settings
from devcluster.images.storage import Storage
from devcluster.images.store import Layer, read_image
from devcluster.layout import Layout
from devcluster.lock import exclusive
from devcluster.progress import Progress

REPOSITORY = Path(__file__).parents[3]
SOURCE_LAYERS = 2
"""Layers that a change of our source replaces: both Dockerfiles end with two copies of our package."""
CONTEXT = ("requirements", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "operator", "trainer")
"""What the Dockerfiles copy, as .dockerignore lists it."""
NEEDED_GB = {"operator": 2.0, "trainer": 10.0}
DOCKER_NEEDED_GB = {"operator": 2.0, "trainer": 16.0}
"""More than buildah needs, as Docker keeps a cache of Python packages of its own."""
BUILDKIT = {
    "DOCKER_BUILDKIT": "1",  # the recipes mount secrets and caches, which only BuildKit does
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # one would make the image an index, which `kind load` may refuse
}


def image_name(name: str) -> str:
    """Return the name under which an image is known everywhere."""
    return f"docker.io/llmfinetune/{name}:dev"


def builds_with_docker(provider: str) -> bool:
    """Say whether Docker builds the images for a provider's cluster; the embedded one takes buildah's."""
    return provider == "kind" or (provider == "kubeconfig" and docker.docker_answers())


def require_image_room(
    names: Iterable[str], layout: Layout, *, with_docker: bool, beside: float = 0.0
) -> None:
    """Raise unless there is room to build what was not built here before, and for `beside` more gigabytes."""
    if with_docker:
        missing = [name for name in names if not docker.has_image(image_name(name))]
        docker.require_room(beside + sum(DOCKER_NEEDED_GB[name] for name in missing))
    else:
        require_free(layout.images, beside + missing_image_gigabytes(names, layout))


def missing_image_gigabytes(names: Iterable[str], layout: Layout) -> float:
    """Return the room that buildah needs for what it did not build here before."""
    return sum(NEEDED_GB[name] for name in names if not built_before(name, layout))


def build_image(name: str, layout: Layout, progress: Progress, *, with_docker: bool = False) -> None:
    """Build one image; layers whose inputs are unchanged are taken from the last build."""
    if with_docker:
        require_image_room([name], layout, with_docker=True)
        with progress.step(f"building {image_name(name)} with Docker"):
            _build_with_docker(name, layout)
        return
    require_root()
    require_free(layout.images, NEEDED_GB[name])
    with exclusive(layout.cache / "images.lock", "another image build"):
        storage = Storage(layout)
        inputs, record = inputs_digest(name), inputs_record(name, layout)
        if record.exists() and record.read_text() == inputs and storage.has_image(image_name(name)):
            progress.note(f"{image_name(name)}: nothing it is made of has changed")
            return
        storage.ensure_base(progress)
        storage.remove_leftovers()
        before = big_layers(storage, name)
        with progress.step(f"building {image_name(name)}"):
            _build(name, storage)
        if before and big_layers(storage, name) != before:
            storage.prune()
        record.write_text(inputs)


def inputs_record(name: str, layout: Layout) -> Path:
    """Return the file that says what the last build of an image was made of."""
    return layout.images / f"{name}.inputs"


def built_before(name: str, layout: Layout) -> bool:
    """Say whether the image was built here, so that a build needs no room worth mention."""
    return inputs_record(name, layout).exists()


def inputs_digest(name: str, repository: Path = REPOSITORY) -> str:
    """Return a digest of all files of the repository that an image is made of."""
    digest = hashlib.sha256(dockerfile(name).read_bytes())
    for root in CONTEXT:
        path = repository / root
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(repository)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def big_layers(storage: Storage, name: str) -> tuple[Layer, ...]:
    """Return the image's layers below those of our own source, nothing if there is no image yet."""
    if not storage.has_image(image_name(name)):
        return ()
    return read_image(storage.layout.images / "storage", image_name(name)).layers[:-SOURCE_LAYERS]


def dockerfile(name: str) -> Path:
    """Return the recipe of an image."""
    return REPOSITORY / f"Dockerfile.{name}"


def _build(name: str, storage: Storage) -> None:
    cache = host_settings.uv_cache()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="llmfinetune-") as folder:
        storage.buildah(
            *("bud", "--layers", "--pull-never", "--format", "oci"),
            *("--volume", f"{cache}:{host_settings.CACHE}:rw"),
            *host_settings.secrets(Path(folder), cached=True),
            *("--file", dockerfile(name), "--tag", image_name(name), REPOSITORY),
            log=_new_log(name, storage.layout),
        )


def _build_with_docker(name: str, layout: Layout) -> None:
    with tempfile.TemporaryDirectory(prefix="llmfinetune-") as folder:
        secrets = host_settings.secrets(Path(folder), cached=False)
        named = ("--file", dockerfile(name), "--tag", image_name(name))
        run(["docker", "build", *secrets, *named, REPOSITORY], env=BUILDKIT, log=_new_log(name, layout))


def _new_log(name: str, layout: Layout) -> Path:
    log = layout.images / f"build-{name}.log"
    log.unlink(missing_ok=True)
    return log
