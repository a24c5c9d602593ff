"""What an event of a watch leads to, and what kopf is told before it watches."""

import itertools

import kopf
import pytest
from kubernetes.aio.client import Configuration

from llmfinetune_operator.cluster.connection import proxy_of_environment
from llmfinetune_operator.cluster.paths import PLURALS
from llmfinetune_operator.constants import GROUP, LABEL_NAME, PLURAL
from llmfinetune_operator.handlers import Backoffs, NoDiffBase, apply_settings, connection_info, take_in
from llmfinetune_operator.observed import Key, Object
from llmfinetune_operator.store import Store
from tests.unit.operator.reconcile.objects import KEY, child, fine_tune


@pytest.mark.parametrize(
    ("happened", "obj", "named"),
    [
        pytest.param(None, child(), [KEY], id="a child that a list holds"),
        pytest.param("ADDED", child(), [KEY], id="a child that is made"),
        pytest.param("MODIFIED", fine_tune(version=9), [KEY], id="a fine-tune that changes"),
        pytest.param("DELETED", fine_tune(version=9), [KEY], id="a fine-tune that goes"),
        pytest.param("ADDED", fine_tune(), [], id="a fine-tune in a state that is known"),
        pytest.param("ADDED", child(label=None), [], id="an object of nobody's"),
        pytest.param("DELETED", child(label=None), [], id="an object of nobody's that goes"),
        pytest.param("ADDED", child(label="legal"), [Key("ml", "legal")], id="a child of another fine-tune"),
    ],
)
def test_an_event_names_the_fine_tunes_it_is_news_for(
    happened: str | None, obj: Object, named: list[Key]
) -> None:
    store, told = Store(), list[Key]()
    store.put(fine_tune())
    take_in(happened, obj, store=store, notify=lambda key, delay, urgent: told.append(key))
    assert told == named


def ignore(key: Key, delay: float, *, urgent: bool) -> None:
    """Takes news that the test is not about."""


def test_a_change_of_the_spec_goes_before_news_of_a_child() -> None:
    told: list[tuple[bool, float]] = []
    for obj in (child(), fine_tune()):
        take_in("ADDED", obj, store=Store(), notify=lambda key, delay, urgent: told.append((urgent, delay)))
    assert [urgent for urgent, _ in told] == [False, True]
    assert told[0][1] > told[1][1]


def test_what_is_deleted_is_forgotten() -> None:
    store = Store()
    take_in("ADDED", fine_tune(), store=store, notify=ignore)
    take_in("DELETED", fine_tune(version=2), store=store, notify=ignore)
    assert store.fine_tune(KEY) is None


@pytest.fixture
def settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    apply_settings(settings, silence_seconds=7.0)
    return settings


def test_only_what_belongs_to_fine_tunes_is_watched(settings: kopf.OperatorSettings) -> None:
    selectors = {
        (api_version.rpartition("/")[0], plural): settings.watching.label_selectors.get(
            (api_version.rpartition("/")[0], api_version.rpartition("/")[2], plural)
        )
        for (api_version, _), plural in PLURALS.items()
    }
    assert selectors.pop((GROUP, PLURAL)) is None
    assert set(selectors.values()) == {LABEL_NAME}


def test_kopf_writes_nothing_to_objects(settings: kopf.OperatorSettings) -> None:
    storage = settings.persistence.diffbase_storage
    assert isinstance(storage, NoDiffBase)
    assert (storage.build(), storage.fetch()) == ({}, None)
    assert settings.posting.enabled is False


def test_a_silent_watch_is_left_when_the_settings_say(settings: kopf.OperatorSettings) -> None:
    assert settings.watching.inactivity_timeout == 7.0


def test_a_watch_is_tried_again_for_ever_and_ever_more_seldom() -> None:
    delays = list(itertools.islice(Backoffs(first=1.0, limit=8.0), 50))
    assert all(0.75 <= delay <= 10.0 for delay in delays)
    assert max(delays[:2]) < min(delays[4:])


def configuration(**given: object) -> Configuration:
    made = Configuration(host="https://api:6443")
    for name, value in given.items():
        setattr(made, name, value)
    return made


async def test_watches_use_the_token_of_the_requests() -> None:
    info = await connection_info(
        configuration(api_key={"BearerToken": "t"}, api_key_prefix={"BearerToken": "Bearer"})
    )
    assert (info.server, info.scheme, info.token) == ("https://api:6443", "Bearer", "t")


async def test_watches_use_the_certificate_and_the_proxy_of_the_requests() -> None:
    info = await connection_info(configuration(cert_file="c", key_file="k", proxy="http://proxy:3128"))
    assert (info.token, info.certificate_path, info.private_key_path) == (None, "c", "k")
    assert info.proxy_url == "http://proxy:3128"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        pytest.param("https://api.example.com:6443", "http://proxy:3128", id="for another machine"),
        pytest.param("https://10.0.0.1:443", None, id="for one that is excepted"),
    ],
)
def test_the_environment_may_name_a_proxy(
    url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "10.0.0.1")
    assert proxy_of_environment(url) == proxy
