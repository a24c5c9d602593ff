"""When an image is stale, and that both recipes keep what is big apart from our source."""

import re
from pathlib import Path

import pytest

from devcluster.images.build import CONTEXT, REPOSITORY, SOURCE_LAYERS, dockerfile, inputs_digest

NAMES = ("operator", "trainer")


def repository(folder: Path) -> Path:
    for root in CONTEXT:
        if "." in root or root.isupper():
            (folder / root).write_text(root)
        else:
            (folder / root).mkdir()
            (folder / root / "file").write_text(root)
    return folder


def test_inputs_change_with_content_and_with_names(tmp_path: Path) -> None:
    root = repository(tmp_path)
    seen = [inputs_digest("operator", root)]
    (root / "operator/file").write_text("changed")
    seen.append(inputs_digest("operator", root))
    (root / "operator/file").rename(root / "operator/other")
    seen.append(inputs_digest("operator", root))
    assert len(set(seen)) == 3


def test_compiled_python_is_no_input(tmp_path: Path) -> None:
    root = repository(tmp_path)
    before = inputs_digest("trainer", root)
    (root / "trainer/__pycache__").mkdir()
    (root / "trainer/__pycache__/file.pyc").write_bytes(b"x")
    assert inputs_digest("trainer", root) == before


def test_context_is_what_the_ignore_file_lets_through() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == set(CONTEXT)


@pytest.mark.parametrize("name", NAMES)
def test_image_ends_with_the_layers_of_our_source(name: str) -> None:
    last_stage = re.split(r"^FROM ", dockerfile(name).read_text(), flags=re.MULTILINE)[-1]
    layers = re.findall(r"^(?:RUN|COPY) .*", last_stage, flags=re.MULTILINE)
    assert all("--from=package" in layer for layer in layers[-SOURCE_LAYERS:])


@pytest.mark.parametrize("name", NAMES)
def test_image_runs_as_nobody_in_particular(name: str) -> None:
    assert "\nUSER 65532:65532\n" in dockerfile(name).read_text()


def test_stage_with_our_package_is_the_same_in_both() -> None:
    stages = [
        re.search(r"^FROM tools AS package\n(.*?)^FROM ", dockerfile(name).read_text(), re.M | re.S)
        for name in NAMES
    ]
    assert stages[0] is not None
    assert stages[1] is not None
    assert stages[0][1] == stages[1][1]
