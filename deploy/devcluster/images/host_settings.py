"""How this host reaches package registries, handed to an image build as secrets, never baked into an image.

A shell file of exports and a bundle of certificates; the Dockerfiles read both if they are there.
"""

import os
import shlex
import ssl
from collections.abc import Mapping
from pathlib import Path

from devcluster.command import run_unchecked
from devcluster.kubeconfig import write_private

CERTIFICATES = "/run/host-certificates"
CACHE = "/run/host-uv-cache"
CERTIFICATE_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PASSED_ON = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES"),
    *(
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_INDEX",
        "UV_EXTRA_INDEX_URL",
        "UV_INSECURE_HOST",
        "UV_HTTP_TIMEOUT",
    ),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
PIP_KEYS = {
    "index-url": "PIP_INDEX_URL",
    "extra-index-url": "PIP_EXTRA_INDEX_URL",
    "trusted-host": "PIP_TRUSTED_HOST",
}


def secrets(folder: Path, *, cached: bool) -> list[str]:
    """Write what a build needs into a folder and return the options that name it, for either builder."""
    bundle = certificates()
    text = exports(os.environ, pip_configuration(), cached=cached, certified=bundle is not None)
    given = {"host-settings": write_private(folder / "host-settings", text), "host-certificates": bundle}
    options = (("--secret", f"id={name},src={path}") for name, path in given.items() if path)
    return [part for option in options for part in option]


def certificates() -> Path | None:
    """Return the bundle of certificates that this host trusts, if it keeps them in one file."""
    candidates = (
        os.environ.get("SSL_CERT_FILE"),
        os.environ.get("PIP_CERT"),
        ssl.get_default_verify_paths().cafile,
    )
    existing = (Path(each) for each in candidates if each and Path(each).is_file())
    return next(existing, None)


def exports(
    environment: Mapping[str, str], pip: Mapping[str, str], *, cached: bool, certified: bool = True
) -> str:
    """Return a shell file that gives a build the host's way to the registries.

    `cached` says that the host's cache of Python packages is mounted, `certified` that its certificates are:
    without them the base image's own count.
    """
    values = {PIP_KEYS[key]: value for key, value in pip.items() if key in PIP_KEYS}
    values |= {name: environment[name] for name in PASSED_ON if environment.get(name)}
    if certified:
        values |= dict.fromkeys(CERTIFICATE_VARIABLES, CERTIFICATES)
    if "PIP_INDEX_URL" in values:
        values.setdefault("UV_DEFAULT_INDEX", values["PIP_INDEX_URL"])
    if cached:
        values["UV_CACHE_DIR"] = CACHE
    values["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(values.items()))


def pip_configuration() -> dict[str, str]:
    """Return pip's settings from its files, the names without their section."""
    listed = run_unchecked(["python3", "-m", "pip", "config", "list"])
    lines = (line.split("=", 1) for line in listed.stdout.splitlines() if "=" in line)
    return {name.rpartition(".")[2]: value.strip("'\"") for name, value in lines}


def uv_cache() -> Path:
    """Return the host's cache of Python packages, which builds share, so that nothing is downloaded twice."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
    return Path(os.environ.get("UV_CACHE_DIR") or default)
