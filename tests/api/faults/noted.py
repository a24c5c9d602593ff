"""Notes for `make chaos` what came of a fault that a test injects."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.record import Record, record


@contextmanager
def recovery(fault: str) -> Iterator[None]:
    """Note how long the block took, in which everything becomes as it should be, or that it failed."""
    fault = f"API: {fault}"  # a fault of the same name may happen to real pods
    started = time.monotonic()
    try:
        yield
    except BaseException as error:
        record(Record(fault=fault, survived=False, why=str(error)))
        raise
    record(Record(fault=fault, survived=True, recovery_s=round(time.monotonic() - started, 2)))
