"""Kinds of values that fields of the custom resource share, with their bounds in the API server's words."""

import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from llmfinetune_trainer.config.quantity import quantity
from llmfinetune_trainer.config.run import SourceUri, rules
from llmfinetune_trainer.config.source import CLUSTER_PATTERN, parse_source

MAX_QUANTITY_LENGTH = 32
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
LABEL_VALUE = r"^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$"
LABEL_KEY = r"^([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"

_NOTHING = "must be more than zero"
_FORMS = "use hf://owner/name, pvc://claim/path, https://…#sha256=<64 hex digits> or configMap://name/key"


def _in_cluster(uri: str) -> str:
    if parse_source(uri).scheme == "file":
        raise ValueError(f"source {uri!r} is no source a cluster can reach: {_FORMS}")
    return uri


def _cel_text(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\") + "'"


_INSIDE = (
    r"self.startsWith('https://') || !self.matches('(^|/)\\.\\.(/|$)')",
    "a source stays inside its volume: remove '..' from the path",
)
_WHOLE = (
    "self.startsWith('https://') || !self.matches('://.*//')",
    "a source has no empty part: remove the second '/' of '//'",
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
            _WHOLE,
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
            _WHOLE,
        )
    ),
]
"""A path on a claim."""


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class _Amount(NamedTuple):
    """What a quantity looks like, and how much it may be."""

    pattern: str
    most: str
    too_much: str

    def check(self, value: str) -> str:
        amount, most = quantity(value), quantity(self.most)
        if not amount:
            raise ValueError(_NOTHING)
        if most is not None and amount > most:
            raise ValueError(self.too_much)
        return value

    def schema(self) -> dict[str, Any]:
        return {
            "x-kubernetes-int-or-string": True,
            "pattern": self.pattern,
            "maxLength": MAX_QUANTITY_LENGTH,
        } | rules(
            ("type(self) == string ? self.matches('[1-9]') : self > 0", _NOTHING),
            (f"quantity(string(self)).compareTo(quantity('{self.most}')) <= 0", self.too_much),
        )


_CORES = _Amount(
    r"^([0-9]+m|[0-9]+(\.[0-9]{1,3})?)$", "4096", "a worker has at most 4096 processor cores: lower it"
)
_BYTES = _Amount(
    r"^[0-9]+(\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
    "1Pi",
    "memory and volumes have at most 1Pi: lower it",
)

Cpu = Annotated[
    str,
    BeforeValidator(_text),
    Field(max_length=MAX_QUANTITY_LENGTH, pattern=_CORES.pattern),
    AfterValidator(_CORES.check),
    WithJsonSchema(_CORES.schema()),
]
"""Processor time: cores (`2`, `0.5`) or thousandths (`500m`)."""

Memory = Annotated[
    str,
    BeforeValidator(_text),
    Field(max_length=MAX_QUANTITY_LENGTH, pattern=_BYTES.pattern),
    AfterValidator(_BYTES.check),
    WithJsonSchema(_BYTES.schema()),
]
"""Bytes, with a suffix such as `Mi` or `Gi`."""

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
