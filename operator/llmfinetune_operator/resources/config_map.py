"""The ConfigMap that pods read: the run configuration, and the certificate authority of the progress
endpoint. One object for both, because each costs the API server several milliseconds to make."""

from typing import Any

from llmfinetune_operator.observed import Object
from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.metadata import Owner, child_metadata
from llmfinetune_trainer.config.layout import RUN_CONFIG
from llmfinetune_trainer.config.run import RunConfig

CA_KEY = "ca.crt"


def run_config_map(owner: Owner, config: RunConfig, *, progress_ca: str) -> dict[str, Any]:
    """ConfigMap with the run configuration as JSON, under the file name that the trainer reads, and with the
    certificates that trainers trust when they report. Holds nothing secret."""
    content = config.model_dump_json(by_alias=True, exclude_none=False, indent=2)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(owner, names.run_config_map(owner.name)),
        "data": {RUN_CONFIG.name: content, CA_KEY: progress_ca},
    }


def progress_ca(config_map: Object | None) -> str:
    """Return the certificates in the ConfigMap, empty where there are none."""
    return str(((config_map or {}).get("data") or {}).get(CA_KEY) or "")
