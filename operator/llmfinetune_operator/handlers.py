"""What kopf watches, and what an event leads to: the object into the store, its fine-tune into the queue.

Only low-level handlers are used: they write nothing to the objects, neither finalizers nor annotations.
Errors in them would be ignored, so nothing here may fail.
"""

from collections.abc import Callable
from random import SystemRandom
from typing import Any, Final, Protocol, cast

import kopf
from kubernetes.aio.client import Configuration

from llmfinetune_operator.cluster.paths import PLURALS
from llmfinetune_operator.constants import GROUP, LABEL_NAME
from llmfinetune_operator.observed import Key, Object
from llmfinetune_operator.store import Store, is_fine_tune

FINALIZER: Final = f"{GROUP}/never-used"
SPEC_SECONDS: Final = 0.05
"""How long a change of a fine-tune waits for others of it: an edit and its status come together."""
CHILD_SECONDS: Final = 0.5
"""How long news of a child waits for others: a new pod alone is bound, scheduled and started within this."""


class Notify(Protocol):
    """Is told of fine-tunes that there is news for."""

    def __call__(self, key: Key, delay: float, *, urgent: bool) -> object:
        """Have the fine-tune looked at after `delay` seconds, before others if it is urgent."""


class Backoffs:
    """Endless delays between tries of a watch: doubling, jittered, at most `limit` seconds."""

    def __init__(self, *, first: float = 0.5, limit: float = 30.0) -> None:
        self._first = first
        self._limit = limit
        self._random = SystemRandom()

    def __iter__(self) -> Any:
        """Start over."""
        delay = self._first
        while True:
            yield delay * self._random.uniform(0.75, 1.25)
            delay = min(delay * 2, self._limit)


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-handled configuration: only high-level handlers need one, and copies cost time."""

    def build(self, **_: Any) -> Any:
        """Return an empty essence."""
        return {}

    def fetch(self, **_: Any) -> Any:
        """Return none."""
        return None

    def store(self, **_: Any) -> None:
        """Store none."""


def build_registry(
    store: Store,
    *,
    notify: Notify,
    listed: Callable[[], object],
    configuration: Configuration,
    silence_seconds: float,
) -> kopf.OperatorRegistry:
    """Return kopf's registry with every watch of this operator; `listed` is called as they start over."""
    registry = kopf.OperatorRegistry()

    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        apply_settings(settings, silence_seconds=silence_seconds)

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await connection_info(configuration)

    async def notice(event: kopf.RawEvent, **_: Any) -> None:
        take_in(event["type"], cast(Object, event["object"]), store=store, notify=notify)
        if event["type"] is None:
            listed()

    kopf.on.startup(registry=registry)(configure)
    kopf.on.login(registry=registry)(log_in)
    for (api_version, _kind), plural in PLURALS.items():
        group, _, version = api_version.rpartition("/")
        kopf.on.event(group, version, plural, registry=registry, id=f"notice-{plural}")(notice)
    return registry


def take_in(happened: str | None, obj: Object, *, store: Store, notify: Notify) -> None:
    """Bring what a watch delivers into the store, and name the fine-tunes it is news for.

    What somebody wants is urgent; what has come of it can wait while much is wanted.
    """
    urgent = is_fine_tune(obj["apiVersion"], obj["kind"])
    for key in store.remove(obj) if happened == "DELETED" else store.put(obj):
        notify(key, SPEC_SECONDS if urgent else CHILD_SECONDS, urgent=urgent)


def apply_settings(settings: kopf.OperatorSettings, *, silence_seconds: float) -> None:
    """Have kopf watch patiently, write nothing, and see only what belongs to fine-tunes."""
    settings.posting.enabled = False
    settings.persistence.finalizer = FINALIZER
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = silence_seconds
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = Backoffs()
    settings.queueing.idle_timeout = 1.0
    settings.process.ultimate_exiting_timeout = 30
    for (api_version, kind), plural in PLURALS.items():
        if not is_fine_tune(api_version, kind):
            group, _, version = api_version.rpartition("/")
            settings.watching.label_selectors[group, version, plural] = LABEL_NAME


async def connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """Return the same credentials as the operator's own client uses, as kopf wants them."""
    header = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    scheme, _, token = (header or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )
