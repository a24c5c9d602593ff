"""The store: whatever order watches, own writes and audits come in, it holds the newest state."""

import pytest

from llmfinetune_operator.observed import ChildRef, Key
from llmfinetune_operator.store import Store
from tests.unit.operator.reconcile.objects import KEY, child, fine_tune, pod

REF = ChildRef("v1", "ConfigMap", "medical-run")


@pytest.fixture
def store() -> Store:
    return Store()


def test_an_object_belongs_to_the_fine_tune_its_label_names(store: Store) -> None:
    assert store.put(child()) == {KEY}
    assert list(store.children(KEY)) == [REF]


def test_an_object_without_the_label_belongs_to_nobody(store: Store) -> None:
    assert store.put(child(label=None)) == set()
    assert store.remove(child(label=None)) == set()


@pytest.mark.parametrize("label", ["legal", None], ids=["to another fine-tune", "to nobody"])
def test_a_child_whose_label_changes_leaves_the_one_it_belonged_to(store: Store, label: str | None) -> None:
    store.put(child())
    concerned = store.put(child(version=2, label=label))
    assert KEY in concerned
    assert concerned == ({KEY, Key("ml", label)} if label else {KEY})
    assert store.children(KEY) == {}


def test_an_old_state_with_another_label_moves_nothing(store: Store) -> None:
    store.put(child(version=2))
    assert store.put(child(version=1, label="legal")) == set()
    assert list(store.children(KEY)) == [REF]


def test_a_child_deleted_after_it_lost_its_label_is_forgotten(store: Store) -> None:
    store.put(child())
    assert store.remove(child(version=2, label=None)) == {KEY}
    assert store.children(KEY) == {}


def test_pods_are_kept_apart_and_in_order_of_name(store: Store) -> None:
    for name in ("medical-worker-1", "medical-worker-0"):
        store.put(pod(name, uid=name))
    assert [each["metadata"]["name"] for each in store.pods(KEY)] == ["medical-worker-0", "medical-worker-1"]
    assert store.children(KEY) == {}


def test_how_a_pod_failed_is_known_after_it_is_gone(store: Store) -> None:
    """The training operator removes a pod as soon as it failed."""
    failed = {**pod("medical-worker-0", uid="a"), "status": {"phase": "Failed"}}
    ended = {**pod("medical-worker-1", uid="b"), "status": {"phase": "Succeeded"}}
    for each in (failed, ended):
        store.put(each)
        store.remove(each)
    assert store.pods(KEY) == ()
    assert [each["metadata"]["uid"] for each in store.failed_pods(KEY)] == ["a"]
    store.put(fine_tune())
    store.remove(fine_tune())
    assert store.failed_pods(KEY) == ()


def test_what_is_known_is_no_news(store: Store) -> None:
    """A watch delivers what the operator itself has written."""
    assert store.put(child()) == {KEY}
    assert store.put(child()) == set()
    assert store.put(fine_tune()) == {KEY}
    assert store.put(fine_tune()) == set()


@pytest.mark.parametrize(
    ("versions", "kept"),
    [
        pytest.param((1, 2), 2, id="a later state replaces an earlier one"),
        pytest.param((2, 1), 2, id="an earlier state that comes late is ignored"),
        pytest.param((9, 10), 10, id="versions are numbers, not text"),
    ],
)
def test_the_newest_state_of_an_object_stays(store: Store, versions: tuple[int, int], kept: int) -> None:
    for version in versions:
        store.put(child(version=version))
    assert store.children(KEY)[REF]["metadata"]["resourceVersion"] == str(kept)


def test_a_new_object_of_the_same_name_replaces_the_old_one_whatever_its_version(store: Store) -> None:
    store.put(child(version=9, uid="old"))
    store.put(child(version=3, uid="new"))
    assert store.children(KEY)[REF]["metadata"]["uid"] == "new"


def test_the_deletion_of_an_old_object_leaves_its_namesake(store: Store) -> None:
    store.put(child(uid="old"))
    store.put(child(uid="new"))
    assert store.remove(child(uid="old")) == {KEY}
    assert store.children(KEY)[REF]["metadata"]["uid"] == "new"


def test_a_deleted_object_does_not_come_back_with_a_late_answer(store: Store) -> None:
    store.put(child(version=5))
    store.remove(child(version=6))
    store.put(child(version=5))
    assert store.children(KEY) == {}


def test_a_deleted_fine_tune_is_gone(store: Store) -> None:
    store.put(fine_tune())
    assert store.remove(fine_tune(version=2)) == {KEY}
    assert store.fine_tune(KEY) is None
    assert list(store.fine_tunes()) == []


def test_records_of_field_managers_are_not_kept_and_the_caller_s_object_is_untouched(store: Store) -> None:
    given = child(metadata={"managedFields": [{}]})
    store.put(given)
    assert "managedFields" not in store.children(KEY)[REF]["metadata"]
    assert "managedFields" in given["metadata"]


def test_fine_tunes_of_one_name_in_two_namespaces_do_not_meet(store: Store) -> None:
    other = child(metadata={"namespace": "research"})
    store.put(child())
    assert store.put(other) == {Key("research", "medical")}
    assert len(store.children(KEY)) == len(store.children(Key("research", "medical"))) == 1


def test_an_object_that_is_given_its_label_back_is_known_again(store: Store) -> None:
    """A watch that selects by label says of an object without it that it was deleted."""
    store.put(child(version=5))
    store.remove(child(version=6, label=None))
    assert store.put(child(version=7)) == {KEY}
    assert list(store.children(KEY)) == [REF]
