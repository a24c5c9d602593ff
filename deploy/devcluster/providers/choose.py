"""Decides which provider a command takes, and says why.

A cluster that an earlier `up` of ours made wins, so that `status` and `down` address what `up` addressed. Our
own kubeconfig is never mistaken for a cluster of the user's, wherever KUBECONFIG points.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import DevClusterError
from devcluster.kubeconfig import NAME as EMBEDDED_CONTEXT
from devcluster.kubeconfig import write_private
from devcluster.layout import Layout
from devcluster.providers.base import Provider
from devcluster.providers.embedded import EmbeddedProvider
from devcluster.providers.existing import KubeconfigProvider
from devcluster.providers.kind import CONTEXT as KIND_CONTEXT
from devcluster.providers.kind import KindProvider, kind_is_usable

VARIABLE = "LLMFINETUNE_PROVIDER"
NAMES = ("kubeconfig", "kind", "embedded")
OUR_CONTEXTS = (EMBEDDED_CONTEXT, KIND_CONTEXT)


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider's name and the reason for it."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the choice depends on; each is asked only when it matters."""

    environment: Mapping[str, str]
    recorded: Callable[[], str | None]
    """Provider of a cluster that an earlier `up` made, or began to make, and that no `down` ended."""
    user_cluster: Callable[[], str | None]
    """The user's current context if it answers and is not ours."""
    kind_usable: Callable[[], bool]


def choose(wanted: str, machine: Machine) -> Choice:
    """Return the provider to take for what was asked on the command line."""
    if wanted != "auto":
        return Choice(wanted, "asked for with --provider")
    forced = machine.environment.get(VARIABLE, "")
    if forced and forced != "auto":
        if forced not in NAMES:
            raise DevClusterError(
                f"{VARIABLE}={forced} names no provider", hint=f"one of: {', '.join(NAMES)}"
            )
        return Choice(forced, f"{VARIABLE} is set")
    if recorded := machine.recorded():
        return Choice(recorded, "an earlier `up` took it")
    if context := machine.user_cluster():
        return Choice("kubeconfig", f"the current context {context!r} answers")
    if machine.kind_usable():
        return Choice("kind", "kind and a Docker daemon are there")
    return Choice("embedded", "no kubeconfig's cluster answers, and there is no kind with a Docker daemon")


def this_machine(layout: Layout) -> Machine:
    """Return the machine that the command runs on."""
    return Machine(
        environment=os.environ,
        recorded=lambda: recorded_provider(layout),
        user_cluster=lambda: user_context(layout),
        kind_usable=kind_is_usable,
    )


def provider_of(name: str, layout: Layout) -> Provider:
    """Return the provider of that name."""
    if name == "embedded":
        return EmbeddedProvider(layout)
    return KindProvider(layout) if name == "kind" else KubeconfigProvider(layout)


def record_provider(layout: Layout, name: str) -> None:
    """Remember which provider `up` took."""
    write_private(layout.provider_record, json.dumps({"provider": name}))


def recorded_provider(layout: Layout) -> str | None:
    """Return the provider of an earlier `up`, as long as its cluster was ours to make."""
    try:
        name = str(json.loads(layout.provider_record.read_text())["provider"])
    except (OSError, ValueError, KeyError):
        return None
    return name if name in ("kind", "embedded") else None


def user_context(layout: Layout) -> str | None:
    """Return the user's current context if it answers and was not made by this tool."""
    if not has_kubeconfig(os.environ, layout):
        return None
    provider = KubeconfigProvider(layout)
    context = provider.context()
    return context if context and context not in OUR_CONTEXTS and provider.is_running() else None


def has_kubeconfig(environment: Mapping[str, str], layout: Layout) -> bool:
    """Say whether the user has a kubeconfig other than the one that we wrote."""
    named = [Path(part) for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    candidates = named or [Path.home() / ".kube" / "config"]
    ours = layout.kubeconfig.resolve()
    return any(path.exists() and path.resolve() != ours for path in candidates)
