"""Versions as programs print them."""

import pytest

from devcluster.versions import major_minor


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("go1.26.8", (1, 26)),
        ("go1.27rc1", (1, 27)),
        ("go1.26-custom", (1, 26)),
        ("devel", (0, 0)),
        ("kind v0.24.0 go1.22.6 linux/amd64", (0, 24)),
        ("v1.34.4-gke.1023", (1, 34)),
    ],
)
def test_first_version_counts(text: str, want: tuple[int, int]) -> None:
    assert major_minor(text) == want
