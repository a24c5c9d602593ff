"""Nothing is collected while much is imported, and collection goes on afterwards."""

import gc
from collections.abc import Iterator

import pytest

from llmfinetune_trainer.imports import without_collection


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_made_meanwhile_is_never_looked_at_again() -> None:
    with without_collection():
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(kept)


def test_a_failing_import_leaves_collection_on() -> None:
    with pytest.raises(ModuleNotFoundError), without_collection():
        import a_module_that_is_not_there  # noqa: F401
    assert gc.isenabled()
