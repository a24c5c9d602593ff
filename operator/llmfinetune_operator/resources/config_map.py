"""ConfigMaps that pods read: the run configuration, and the certificate authority of the progress
endpoint."""

from typing import Any

from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.metadata import Owner, child_metadata
from llmfinetune_trainer.config.layout import RUN_CONFIG
from llmfinetune_trainer.config.run import RunConfig

CA_KEY = "ca.crt"


def run_config_map(owner: Owner, config: RunConfig) -> dict[str, Any]:
    """ConfigMap with the run configuration as JSON, under the file name that the trainer reads."""
    content = config.model_dump_json(by_alias=True, exclude_none=False, indent=2)
    return _config_map(owner, names.run_config_map(owner.name), {RUN_CONFIG.name: content})


def progress_ca_config_map(owner: Owner, certificate: str) -> dict[str, Any]:
    """ConfigMap with the certificate that trainers trust when they report. Holds nothing secret."""
    return _config_map(owner, names.progress_ca_config_map(owner.name), {CA_KEY: certificate})


def _config_map(owner: Owner, name: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(owner, name),
        "data": data,
    }
