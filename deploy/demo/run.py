"""The demonstration from an empty machine to an adapter, and back."""

import sys
import time
from pathlib import Path

from demo import cluster
from demo.answers import ask
from demo.follow import follow
from demo.kubectl import Namespace
from demo.objects import DATA_CONFIG_MAP, config_map, namespace
from demo.record import Made, forget, recall, remember
from demo.stack import context, has_operator, install_operator, load_model, remove_operator
from demo.text import closing_line, heading, show_answers
from devcluster.command import run as run_program
from devcluster.errors import DevClusterError

NAMESPACE = "llmfinetune-demo"
NAME = "api-questions"
EXAMPLE = "examples/api-questions"
TIMEOUT = 1800.0


def run(repository: Path) -> None:
    """Runs the demonstration; prints what happens and, last, how it ended.

    Raises:
        FineTuneFailedError: the fine-tune failed.
        TimeoutError: it did not end in time.
        ClusterError, DevClusterError: the cluster or kubectl refused.
    """
    started = time.monotonic()
    place = _install(repository)
    _start(place, repository)
    print(heading("kubectl get llmfinetunes -w"))
    finished = follow(place, NAME, timeout=TIMEOUT)
    print(heading("the same questions before and after"))
    print(show_answers(ask(place, NAME)))
    print(heading("kubectl get llmfinetunes"))
    print(place.run("get", "llmfinetunes"))
    metrics, output = finished["status"]["metrics"], finished["status"]["output"]
    print(f"loss on the held-out questions: {metrics['evalLossBefore']} before, {metrics['evalLoss']} after")
    print(f"adapter: {output['adapter']} in namespace {NAMESPACE}")
    print("`make demo-down` removes everything that was made.")
    print(closing_line(finished, seconds=time.monotonic() - started))


def down(repository: Path) -> None:
    """Removes what `run` made: the cluster, or only the namespace and the operator in a cluster found.

    Raises:
        DevClusterError: kubectl addresses another cluster than the one in which it was made.
    """
    made = recall(repository)
    if made is None:
        print("demo: nothing is on record as made by `make demo` in this checkout; nothing was removed.")
        return
    if made.cluster:
        cluster.take_down()
    elif cluster.chosen_provider().is_running():
        _clear(Namespace(cluster.kubectl(), NAMESPACE), made, repository)
    forget(repository)
    print("demo: removed. Caches stay below ~/.cache (llmfinetune, go-build, uv) and ~/go/pkg/mod.")


def _clear(place: Namespace, made: Made, repository: Path) -> None:
    if (current := context(place)) != made.context:
        raise DevClusterError(
            f"the demonstration ran in context {made.context!r}, and kubectl addresses {current!r}",
            hint=f"kubectl config use-context {made.context}",
        )
    place.run("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=300)
    others = place.get("llmfinetunes", "--all-namespaces")["items"] if made.operator else []
    if others:
        print(f"demo: the operator stays: {len(others)} other fine-tunes would go with it.")
    elif made.operator:
        remove_operator(place, repository)


def _install(repository: Path) -> Namespace:
    print(heading("a cluster"))
    made_cluster = cluster.bring_up()
    place = Namespace(cluster.kubectl(), NAMESPACE)
    remember(repository, Made(context(place), cluster=made_cluster, operator=not has_operator(place)))
    print(heading("images"))
    images = cluster.load_images()
    print(heading("the operator"))
    install_operator(place, repository, images)
    print("operator: ready")
    return place


def _start(place: Namespace, repository: Path) -> None:
    print(heading("model and data"))
    place.apply(namespace(NAMESPACE))
    place.run("delete", "llmfinetune", NAME, "--ignore-not-found", timeout=300)
    load_model(place)
    questions = run_program([sys.executable, repository / EXAMPLE / "generate.py"])
    place.apply(config_map(DATA_CONFIG_MAP, {"train.jsonl": questions}))
    print("model: SmolLM2-135M-Instruct, copied onto a volume")
    print(f"data: {len(questions.splitlines())} questions about the API, in a ConfigMap")
    print(heading(f"kubectl apply -f {EXAMPLE}/finetune.yaml"))
    print(place.run("apply", "-f", str(repository / EXAMPLE / "finetune.yaml")), end="")
