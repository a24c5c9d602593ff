"""The way back from the demonstration: what it made goes, and what was there before or others use stays."""

from pathlib import Path

from demo import cluster
from demo.kubectl import Namespace
from demo.record import PLACE, Made, forget, recall, replace
from demo.run import NAMESPACE
from demo.stack import RESOURCE, count, remove_operator
from devcluster.errors import DevClusterError, NotRunningError
from devcluster.providers.base import Provider
from devcluster.training_operator import CRD as TRAINING_JOBS

NOTHING = f"""\
demo: nothing was removed, as {PLACE} has nothing on record (`make clean` deletes it, too).
  A cluster that was brought up here goes with `make cluster-down`.
  From a cluster of yours, the demonstration goes with `kubectl delete namespace {NAMESPACE}`,
  and the operator, with every fine-tune, with `kubectl delete -k deploy/kustomize/overlays/dev`."""
REMOVED = """\
demo: removed. Caches stay below ~/.cache (llmfinetune, go-build, uv) and ~/go/pkg/mod.
  Images stay, too: in the registry that they were pushed to, and in Docker, where they go with
  `docker image rm llmfinetune/operator:dev llmfinetune/trainer:dev`."""


def down(repository: Path) -> None:
    """Removes what `run` made: the cluster, or only what it put into a cluster found.

    Raises:
        DevClusterError: kubectl addresses another cluster than that of the record, or it does not answer; the
            record stays.
    """
    made = recall(repository)
    if made is None:
        print(NOTHING)
        return
    left = _without_cluster(made) if made.cluster else _cleared(made, repository)
    if left.operator or left.training_operator:
        replace(repository, left)
        print("demo: the rest is removed; `make demo-down` removes what stays as soon as nothing needs it.")
        return
    forget(repository)
    print(REMOVED)


def _without_cluster(made: Made) -> Made:
    cluster.take_down(made.provider)
    return Made(made.context, made.provider)


def _cleared(made: Made, repository: Path) -> Made:
    """Removes what was put into a cluster that was there before; returns what had to stay."""
    provider = cluster.chosen_provider(made.provider)
    _require_same(provider, made)
    place = Namespace(provider.kubectl(), NAMESPACE)
    place.run("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=300)
    fine_tunes = count(place, RESOURCE)
    operator = made.operator and fine_tunes > 0
    if operator:
        print(f"demo: the operator stays: {fine_tunes} other fine-tunes would go with it.")
    elif made.operator:
        remove_operator(place, repository)
    jobs = fine_tunes + count(place, TRAINING_JOBS)
    training_operator = made.training_operator and jobs > 0
    if training_operator:
        print(f"demo: training-operator stays: {jobs} other fine-tunes and PyTorchJobs need it.")
    elif made.training_operator:
        cluster.training_operator(provider).remove()
    return Made(made.context, made.provider, operator=operator, training_operator=training_operator)


def _require_same(provider: Provider, made: Made) -> None:
    if (current := provider.context()) != made.context:
        raise DevClusterError(
            f"the demonstration ran in context {made.context!r}, and kubectl addresses {current!r}",
            hint=f"kubectl config use-context {made.context}",
        )
    if not provider.is_running():
        raise NotRunningError(
            f"the cluster of context {made.context!r} does not answer, so nothing was removed",
            hint=f"start it and try again; where it is gone for good, so is all that was made: rm {PLACE}",
        )
