"""Kubeconfig files for the administrator and for components, as JSON, which every YAML reader reads."""

import json
import os
from base64 import b64encode
from pathlib import Path

from devcluster.pki import KeyPair

NAME = "llmfinetune-dev"


def write_kubeconfig(path: Path, *, server: str, authority: Path, client: KeyPair) -> Path:
    """Write a kubeconfig whose one context uses a client certificate; files are embedded as data."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [
            {"name": NAME, "cluster": {"server": server, "certificate-authority-data": encoded(authority)}}
        ],
        "users": [
            {
                "name": NAME,
                "user": {
                    "client-certificate-data": encoded(client.certificate),
                    "client-key-data": encoded(client.key),
                },
            }
        ],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
    }
    return write_private(path, json.dumps(document, indent=1))


def encoded(path: Path) -> str:
    """Return a file's bytes as kubeconfigs carry them."""
    return b64encode(path.read_bytes()).decode()


def write_private(path: Path, text: str) -> Path:
    """Replace a file in one step, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".new")
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    os.replace(unfinished, path)
    return path
