"""One real cluster with the operator for the whole session; taken down where the session brought it up."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.place import NoClusterError, opened
from tests.e2e.session import Session

NAMESPACE = "llmfinetune-e2e"
REQUIRED = "LLMFINETUNE_REQUIRE_CLUSTER"


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    """The test namespace of a cluster in which the operator of this checkout runs."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(opened(NAMESPACE))
        except NoClusterError as error:
            if os.environ.get(REQUIRED):
                raise
            pytest.skip(f"no cluster can be had here: {error}")
        yield found
