"""A namespace that is deleted while the operator is away: nothing of it may be left."""

import time

from tests.chaos.record import Record, record
from tests.chaos.victim import OPERATOR
from tests.e2e.manifests import fine_tune
from tests.e2e.place import furnish
from tests.e2e.session import Session, reached

NAME = "namespace deleted while the operator is down"
SECONDS = 180


def namespace_deleted(session: Session) -> float:
    """Lets it happen and returns the seconds until the namespace was gone.

    Raises:
        DevClusterError: it did not go, or the operator did not come back.
    """
    try:
        seconds = _deleted(session)
    except Exception as error:
        record(Record(fault=NAME, survived=False, why=str(error)))
        raise
    record(Record(fault=NAME, survived=True, recovery_s=round(seconds, 2)))
    return seconds


def _deleted(session: Session) -> float:
    place = session.namespace.to(f"{session.namespace.name}-doomed")
    operator = f"deployment/{OPERATOR[1]}"
    try:
        furnish(place)
        place.apply(fine_tune("doomed", training={"maxSteps": 500}))
        doomed = Session(place, session.system)
        doomed.until("doomed", lambda found: reached(found) >= 1, what="a first step")
        session.system.run("scale", operator, "--replicas=0")
        started = time.monotonic()
        place.run("delete", "namespace", place.name, f"--timeout={SECONDS}s", timeout=SECONDS + 20)
        return time.monotonic() - started
    finally:
        place.run("delete", "namespace", place.name, "--ignore-not-found", "--wait=false")
        session.system.run("scale", operator, "--replicas=1")
        session.system.run("rollout", "status", operator, "--timeout=120s", timeout=140)
