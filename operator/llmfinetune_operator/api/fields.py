"""Kinds of values that fields of the custom resource share, with their bounds in the API server's words."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from llmfinetune_trainer.config.run import SourceUri, rules
from llmfinetune_trainer.config.source import CLUSTER_PATTERN, parse_source

MAX_QUANTITY_LENGTH = 32
CPU_PATTERN = r"^([0-9]+m|[0-9]+(\.[0-9]{1,3})?)$"
MEMORY_PATTERN = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
DURATION_PATTERN = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
LABEL_VALUE = r"^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$"
LABEL_KEY = r"^([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"

WAIT_LEAST, WAIT_MOST = timedelta(seconds=10), timedelta(hours=24)
_WAIT_RULE = "duration(self) >= duration('10s') && duration(self) <= duration('24h')"
_WAIT = "must be from 10s to 24h, such as 2m"
_FORMS = "use hf://owner/name, pvc://claim/path, https://…#sha256=<64 hex digits> or configMap://name/key"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _positive(value: str) -> str:
    if not any(digit in "123456789" for digit in value):
        raise ValueError("must be more than zero")
    return value


def _in_cluster(uri: str) -> str:
    if parse_source(uri).scheme == "file":
        raise ValueError(f"source {uri!r} is no source a cluster can reach: {_FORMS}")
    return uri


def _quantity(pattern: str) -> dict[str, Any]:
    zero = "type(self) == string ? self.matches('[1-9]') : self > 0"
    return {
        "x-kubernetes-int-or-string": True,
        "pattern": pattern,
        "maxLength": MAX_QUANTITY_LENGTH,
    } | rules((zero, "must be more than zero"))


def _cel_text(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\") + "'"


_INSIDE = (
    r"self.startsWith('https://') || !self.matches('(^|/)\\.\\.(/|$)')",
    "a source stays inside its volume: remove '..' from the path",
)
ClusterSource = Annotated[
    SourceUri,
    AfterValidator(_in_cluster),
    Field(
        json_schema_extra=rules(
            (
                "!self.startsWith('https://') || self.matches('^https://[^#[:space:]]+#sha256=[0-9a-f]{64}$')",
                "an https source needs the digest of what it must deliver: append #sha256=<64 hex digits>",
            ),
            (
                f"self.startsWith('https://') || self.matches({_cel_text(CLUSTER_PATTERN)})",
                f"no source that a cluster can reach: {_FORMS}",
            ),
            _INSIDE,
        )
    ),
]
"""A source that pods can reach: no path of a local machine."""

_ON_A_VOLUME = "resumeFrom.source lies on a volume: use pvc://claim/path"


def _on_a_volume(uri: str) -> str:
    if parse_source(uri).scheme != "pvc":
        raise ValueError(f"{uri!r}: {_ON_A_VOLUME}")
    return uri


VolumeSource = Annotated[
    SourceUri,
    AfterValidator(_on_a_volume),
    Field(
        json_schema_extra=rules(
            (r"self.matches('^pvc://[a-z0-9]([-.a-z0-9]*[a-z0-9])?/.+$')", _ON_A_VOLUME),
            _INSIDE,
        )
    ),
]
"""A path on a claim."""

Cpu = Annotated[
    str,
    BeforeValidator(_text),
    Field(max_length=MAX_QUANTITY_LENGTH, pattern=CPU_PATTERN),
    AfterValidator(_positive),
    WithJsonSchema(_quantity(CPU_PATTERN)),
]
"""Processor time: cores (`2`, `0.5`) or thousandths (`500m`)."""

Memory = Annotated[
    str,
    BeforeValidator(_text),
    Field(max_length=MAX_QUANTITY_LENGTH, pattern=MEMORY_PATTERN),
    AfterValidator(_positive),
    WithJsonSchema(_quantity(MEMORY_PATTERN)),
]
"""Bytes, with a suffix such as `Mi` or `Gi`."""

Duration = Annotated[
    str,
    Field(
        min_length=2,
        max_length=32,
        pattern=DURATION_PATTERN,
        json_schema_extra=rules(("self.matches('[1-9]')", "must be more than zero, such as 12h or 1h30m")),
    ),
    AfterValidator(_positive),
]
"""Hours, minutes and seconds: `12h`, `1h30m`, `90s`."""


def _waitable(value: str) -> str:
    if not WAIT_LEAST <= parse_duration(value) <= WAIT_MOST:
        raise ValueError(_WAIT)
    return value


Wait = Annotated[
    Duration,
    AfterValidator(_waitable),
    Field(json_schema_extra=rules((_WAIT_RULE, _WAIT))),
]
"""How long to wait for something: a duration from 10s to 24h."""

_BAD_LABEL = "a key is no label: take one that `kubectl get nodes --show-labels` shows"


def _label_keys(labels: dict[str, str]) -> dict[str, str]:
    if not all(re.fullmatch(LABEL_KEY, key) for key in labels):
        raise ValueError(_BAD_LABEL)
    return labels


NodeSelector = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]],
    Field(
        max_length=32,
        json_schema_extra=rules((f"self.all(key, key.matches({_cel_text(LABEL_KEY)}))", _BAD_LABEL)),
    ),
    AfterValidator(_label_keys),
]
"""Labels of nodes."""

ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
"""Name of a Kubernetes object."""


QueueName = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_SUBDOMAIN)]
"""Name of a queue: it is the value of a label."""


def parse_duration(duration: str) -> timedelta:
    """Convert `1h30m` to a time span.

    Raises:
        ValueError: the text has another form.
    """
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise ValueError(f"duration {duration!r} has another form than 12h, 1h30m or 90s")
    hours, minutes, seconds = (int(each or 0) for each in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
