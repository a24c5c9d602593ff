"""Faults happen to one fine-tune, one after another; it succeeds, and every sample counts once an epoch.

The long suite, `make chaos`, injects more of them and more often.
"""

from collections.abc import Iterator

import pytest

from demo.cluster import chosen_provider
from tests.chaos.fault import Fault
from tests.chaos.scenario import QUICK, Scenario
from tests.chaos.trial import Trial, trial
from tests.e2e.history import Samples
from tests.e2e.session import Session

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SEED = 1


@pytest.fixture(scope="module")
def running(session: Session) -> Iterator[Trial]:
    """One fine-tune that trains for as long as all faults take."""
    with trial(session, Scenario(name="survivor", faults=QUICK), seed=SEED) as started:
        yield started


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name.replace(" ", "-"))
def test_training_goes_on_after(running: Trial, fault: Fault) -> None:
    if fault.embedded_only and chosen_provider().name != "embedded":
        pytest.skip("needs the machine under the cluster, which only the embedded one shows")
    running.inject(fault)


def test_every_sample_counts_once_whatever_happened(running: Trial) -> None:
    assert running.finish() == Samples(lost=0, repeated=0)
