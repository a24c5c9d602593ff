"""Hashes of object contents, to tell by an annotation whether a live object was made from the same values."""

import hashlib
import json
from typing import Any

LENGTH = 16


def content_hash(content: Any) -> str:
    """Short digest of a JSON value, the same for equal values whatever the order of their keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
