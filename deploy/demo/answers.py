"""Asks the model the same questions with and without the adapter, in a pod beside the finished volume."""

import json
from typing import NamedTuple

from demo.kubectl import Namespace
from demo.objects import MODEL_CLAIM, MODEL_FILE, MODEL_MOUNT, config_map, pod
from demo.pods import SUCCEEDED, wait_for_pod
from demo.stack import trainer_image

QUESTIONS = (
    "What does spec.training.learningRate set?",
    "What is the default of spec.checkpoint.keep?",
    "Which values may spec.training.schedule take?",
)
POD = "llmfinetune-demo-answers"
WORKSPACE = "/workspace"


class Answer(NamedTuple):
    """One question and what the model said before and after."""

    question: str
    before: str
    after: str


def ask(namespace: Namespace, claim_name: str, questions: tuple[str, ...] = QUESTIONS) -> list[Answer]:
    """Runs a pod that generates all answers and returns them."""
    lines = "".join(json.dumps({"instruction": question}) + "\n" for question in questions)
    namespace.apply(config_map(POD, {"questions.jsonl": lines}))
    namespace.run("delete", "pod", POD, "--ignore-not-found")
    command = ["llmfinetune", "generate", "--model", f"{MODEL_MOUNT}/{MODEL_FILE}"]
    command += ["--adapter", f"{WORKSPACE}/output/adapter", "--compare", "--template", "alpaca"]
    command += ["--questions", "/questions/questions.jsonl", "--output", "json"]
    claims = {claim_name: WORKSPACE, MODEL_CLAIM: MODEL_MOUNT}
    image, mounts = trainer_image(namespace), {POD: "/questions"}
    namespace.apply(pod(POD, image=image, command=command, claims=claims, config_maps=mounts))
    wait_for_pod(namespace, POD, SUCCEEDED)
    answers = json.loads(namespace.run("logs", POD).strip().splitlines()[-1])
    namespace.run("delete", "pod", POD, "--wait=false")
    return [Answer(a["question"], a["before"].strip(), a["after"].strip()) for a in answers]
