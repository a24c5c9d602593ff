"""Keeps secrets out of everything that users may see: what looks like one is replaced."""

import re

MASK = "[redacted]"

_NAMES = "token|secret|password|passwd|api[-_]?key|authorization"
_ASSIGNED = re.compile(
    rf"(?i)((?:{_NAMES})[\"']?\s*[=:]\s*[\"']?)(?!\[redacted\]|bearer\b|<)[^\s\"',;]{{6,}}"
)
_PATTERNS = (
    re.compile(r"\bhf_[A-Za-z0-9]{8,}"),
    re.compile(r"(?i)(?<=\bbearer )[A-Za-z0-9._~+/=-]{6,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)
_LONG = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{40,}={0,2}(?![A-Za-z0-9+/_-])")


def redact(text: str) -> str:
    """The text with tokens, keys, passwords and long encoded values replaced. Twice is as once."""
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    text = _ASSIGNED.sub(rf"\g<1>{MASK}", text)
    return _LONG.sub(_unless_harmless, text)


def _unless_harmless(match: re.Match[str]) -> str:
    """Digests and paths are long too, and needed to understand a message."""
    value = match.group()
    is_digest = re.fullmatch(r"[0-9a-f]+", value) is not None
    mixed = (
        any(c.isdigit() for c in value)
        and any(c.isupper() for c in value)
        and any(c.islower() for c in value)
    )
    return MASK if mixed and not is_digest and value.count("/") < 2 else value
