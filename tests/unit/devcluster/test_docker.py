"""What Docker is told to build with, and that its disk is looked at before."""

import io
from pathlib import Path

import pytest

from devcluster.docker import require_room
from devcluster.errors import MissingRequirementError
from devcluster.images.build import DOCKER_NEEDED_GB, build_image, image_name
from devcluster.layout import Layout
from devcluster.progress import Progress
from tests.unit.devcluster.programs import calls, install

DOCKER = """case "$1" in
info) cat root;;
image) [ -e built ];;
build) echo "BuildKit $DOCKER_BUILDKIT, no attestations $BUILDX_NO_DEFAULT_ATTESTATIONS" >> calls
  for option; do case "$option" in id=*) cat "${option#*src=}" > "${option%%,*}";; esac; done;;
esac"""
PYTHON = "echo \"global.index-url='https://mirror.example/simple'\""
TOO_MUCH = 1e9


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    install(tmp_path, monkeypatch, {"docker": DOCKER, "python3": PYTHON})
    (tmp_path / "root").write_text(f"{tmp_path}\n")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    return Layout(cache=tmp_path / "cache", state=tmp_path / "state")


def build(layout: Layout) -> None:
    build_image("operator", layout, Progress(1, stream=io.StringIO()), with_docker=True)


def test_a_build_gets_buildkit_and_the_hosts_way_to_the_registries(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "built").touch()
    build(layout)
    assert "BuildKit 1, no attestations 1" in calls(tmp_path)
    [command] = [call for call in calls(tmp_path) if call.startswith("docker build")]
    assert command.endswith(f"--tag {image_name('operator')} {Path(__file__).parents[3]}")
    settings = (tmp_path / "id=host-settings").read_text()
    assert "PIP_INDEX_URL=https://mirror.example/simple" in settings
    assert "UV_CACHE_DIR" not in settings
    assert (tmp_path / "id=host-certificates").read_text() == "certificates"


def test_dockers_disk_is_looked_at_before_the_first_build(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DOCKER_NEEDED_GB, "operator", TOO_MUCH)
    with pytest.raises(MissingRequirementError, match=f"{tmp_path} has") as caught:
        build(layout)
    assert "docker system prune" in caught.value.hint
    assert not any(call.startswith("docker build") for call in calls(tmp_path))
    (tmp_path / "built").touch()
    build(layout)


@pytest.mark.usefixtures("layout")
def test_a_disk_of_another_machine_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("/no/such/folder\n")
    require_room(TOO_MUCH)
