"""Base of every configuration and message model: frozen, strict about unknown keys, camelCase on the wire."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Frozen(BaseModel):
    """An immutable value. The docstring under a field is its description in `kubectl explain` and docs."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class Message(Frozen):
    """A value that travels between versions: unknown keys are dropped, so that a newer peer can add some."""

    model_config = ConfigDict(extra="ignore")
