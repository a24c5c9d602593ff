"""Labels of children and pods, and the selectors that find them."""

from llmfinetune_operator.constants import (
    COMPONENT_WORKER,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    LABEL_NAME,
)

MANAGER = "llmfinetune-operator"


def common(name: str) -> dict[str, str]:
    """Labels of every child."""
    return {LABEL_NAME: name, LABEL_MANAGED_BY: MANAGER}


def of_component(name: str, component: str) -> dict[str, str]:
    """Labels of a job and of its pods."""
    return {**common(name), LABEL_COMPONENT: component}


def worker_selector(name: str) -> str:
    """Selector of the worker pods, as `status.workers.selector` and the scale subresource give it."""
    return f"{LABEL_NAME}={name},{LABEL_COMPONENT}={COMPONENT_WORKER}"
