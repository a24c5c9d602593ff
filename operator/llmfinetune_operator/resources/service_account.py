"""ServiceAccount of prepare and worker pods."""

from typing import Any

from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.metadata import Owner, child_metadata


def service_account(owner: Owner) -> dict[str, Any]:
    """An account that no role is bound to; only the projected progress token is ever issued for it."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": child_metadata(owner, names.service_account(owner.name)),
        "automountServiceAccountToken": False,
    }
