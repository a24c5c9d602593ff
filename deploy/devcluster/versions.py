"""Versions as programs print them, and the least that they must be."""

import re


def major_minor(text: str) -> tuple[int, int]:
    """Return the first version in a text such as `go1.26.8` or `kind v0.24.0 go1.22.6`, zeros without one."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
