"""Where a model or a data set comes from, as a URI. Parsing only; fetching is the package `sources`."""

from typing import Literal, NamedTuple

Scheme = Literal["hf", "pvc", "https", "configMap", "file"]

MAX_LENGTH = 1024
CLUSTER_PATTERN = (
    r"^(hf://[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?(/.+)?"
    r"|pvc://[a-z0-9]([-.a-z0-9]*[a-z0-9])?/.+"
    r"|https://[^#\s]+#sha256=[0-9a-f]{64}"
    r"|configMap://[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[-._a-zA-Z0-9]+)$"
)
"""What a source may look like in a cluster. A path of the local machine is allowed only outside one."""

_HINT = (
    "use hf://owner/name, pvc://claim/path, https://…#sha256=<64 hex digits>, configMap://name/key, "
    "or a local path"
)

_WITHOUT_EMPTY_PARTS = ("hf", "pvc", "configMap")
"""Schemes whose paths begin below something: after an empty part one would begin at the root of all files."""


class Source(NamedTuple):
    """One parsed source.

    `name` is the repository (hf), claim (pvc), ConfigMap (configMap) or URL without its fragment (https);
    `path` the path inside of it, or the local path (file); `sha256` the digest an https source must have.
    """

    scheme: Scheme
    name: str
    path: str
    sha256: str | None = None


def parse_source(uri: str) -> Source:
    """Parses a source URI.

    Raises:
        ValueError: the URI has no form that is understood; the message says which forms are.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return Source("file", "", _checked(uri, uri))
    if scheme in _WITHOUT_EMPTY_PARTS and "//" in rest:
        raise ValueError(f"source {uri!r} has an empty part: remove the second '/' of '//'")
    match scheme:
        case "hf":
            return _hf(uri, rest)
        case "pvc" | "configMap":
            name, _, path = rest.partition("/")
            return Source(scheme, _checked(uri, name), _inside(uri, path))
        case "https":
            return _https(uri)
        case "file":
            return Source("file", "", _checked(uri, rest))
    raise ValueError(f"source {uri!r} has an unknown scheme {scheme!r}: {_HINT}")


def _hf(uri: str, rest: str) -> Source:
    parts = rest.split("/")
    repository = "/".join(parts[:2])
    if not all(parts[:2]):
        raise ValueError(f"source {uri!r} names no repository: {_HINT}")
    return Source("hf", repository, "/".join(parts[2:]))


def _https(uri: str) -> Source:
    url, _, fragment = uri.partition("#")
    algorithm, _, digest = fragment.partition("=")
    if algorithm != "sha256" or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ValueError(
            f"source {uri!r} needs the digest of what it must deliver: append #sha256=<64 hex digits>"
        )
    return Source("https", url, url.rsplit("/", 1)[-1], digest)


def _checked(uri: str, part: str) -> str:
    if not part or "\0" in part:
        raise ValueError(f"source {uri!r} is incomplete: {_HINT}")
    return part


def _inside(uri: str, path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError(f"source {uri!r} leaves its volume: remove '..' from the path")
    return _checked(uri, path)
