"""What only cluster or data can know about a manifest is said in its status, before any worker starts."""

from typing import Any, NamedTuple

import pytest

from tests.e2e.manifests import DATA, fine_tune
from tests.e2e.session import Session, phase

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


class Bad(NamedTuple):
    """One fault and the words that its explanation must hold."""

    spec: dict[str, Any]
    words: tuple[str, ...]
    final: bool = True
    """Whether waiting cannot help: the phase becomes Failed. Else a condition says what is waited for."""


CASES = {
    "model-not-found": Bad(
        {"model": {"source": "pvc://llmfinetune-demo-model/nothing.gguf"}}, ("nothing.gguf",)
    ),
    "data-not-found": Bad({"dataset": {"source": f"configMap://{DATA}/nothing.jsonl"}}, ("nothing.jsonl",)),
    "column-missing": Bad(
        {"dataset": {"source": f"configMap://{DATA}/wrong-columns.jsonl"}},
        ("instruction", "question", "answer"),
    ),
    "every-label-masked": Bad(
        {"dataset": {"source": f"configMap://{DATA}/no-answers.jsonl"}}, ("no-answers.jsonl", "answer")
    ),
    "empty-data": Bad(
        {"dataset": {"source": f"configMap://{DATA}/empty.jsonl"}}, ("no rows", "spec.dataset.source")
    ),
    "target-module-unmatched": Bad(
        {"method": {"lora": {"targetModules": ["vproj", "q_projj"]}}}, ("vproj", "q_projj", "v_proj")
    ),
    "secret-missing": Bad(
        {"model": {"tokenSecretRef": {"name": "no-such-secret"}}}, ("no-such-secret",), final=False
    ),
    "storage-class-missing": Bad(
        {"storage": {"storageClassName": "no-such-class"}}, ("no-such-class",), final=False
    ),
    "image-not-pullable": Bad(
        {"runtime": {"image": "localhost:1/no/such:image"}}, ("localhost:1/no/such",), final=False
    ),
    "unschedulable": Bad({"workers": {"nodeSelector": {"no-such-label": "x"}}}, ("node",), final=False),
}


@pytest.fixture(scope="module")
def applied(session: Session) -> None:
    """Applies all faults at once: they wait side by side."""
    session.namespace.apply(*(fine_tune(name, **bad.spec) for name, bad in CASES.items()))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("applied")
def test_fault_is_named_with_a_way_out(session: Session, name: str) -> None:
    bad = CASES[name]
    found = session.until(
        name,
        lambda f: phase(f) == "Failed" if bad.final else all(word in told(f) for word in bad.words),
        what=f"words {bad.words}",
    )
    assert all(word in told(found) for word in bad.words), told(found)
    assert session.workers(name) == []
    if bad.final:
        failure = found["status"]["failure"]
        assert failure["hint"]
        assert not failure["retryable"]
    session.namespace.run("delete", "llmfinetune", name, "--wait=false")


def test_missing_secret_heals_when_it_appears(session: Session) -> None:
    name, secret = "secret-appears", "late-token"
    session.namespace.apply(
        fine_tune(name, model={"tokenSecretRef": {"name": secret}}, training={"maxSteps": 1})
    )
    session.until(name, lambda f: secret in told(f), what="a condition that names the Secret")
    session.namespace.run("create", "secret", "generic", secret, "--from-literal=token=not-a-real-token")
    session.until_succeeded(name)
    assert "not-a-real-token" not in session.namespace.run("get", "llmfinetune", name, "-o", "json")
    session.namespace.run("delete", "llmfinetune", name, "--wait=false")


def told(fine_tune_: dict[str, Any]) -> str:
    """Returns everything a status says in words."""
    status = fine_tune_.get("status", {})
    failure = status.get("failure", {})
    messages = [c.get("message", "") for c in status.get("conditions", [])]
    return " ".join([failure.get("message", ""), failure.get("hint", ""), *messages])
