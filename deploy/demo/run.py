"""The demonstration from an empty machine to an adapter."""

import sys
import time
from pathlib import Path

from demo import cluster
from demo.answers import ask
from demo.follow import follow
from demo.kubectl import Namespace
from demo.objects import DATA_CONFIG_MAP, config_map, namespace
from demo.record import Made, remember
from demo.stack import has_operator, install_operator, load_model
from demo.text import closing_line, heading, show_answers
from devcluster.command import run as run_program

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


def _install(repository: Path) -> Namespace:
    print(heading("a cluster"))
    found = cluster.find()
    made = Made(found.context, found.provider)
    # On record before it is made: what a run leaves that fails halfway is to be found as well.
    if found.is_running:
        remember(repository, made._replace(training_operator=not found.has_training_operator))
    else:
        remember(repository, made._replace(cluster=True))
    cluster.bring_up()
    place = Namespace(cluster.kubectl(), NAMESPACE)
    print(heading("images"))
    images = cluster.load_images()
    print(heading("the operator"))
    remember(repository, made._replace(operator=not has_operator(place)))
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
