"""Where things lie: on the fine-tune's volume, and inside a pod. Both programs build paths only from here."""

from pathlib import Path
from typing import Final, NamedTuple

WORKSPACE: Final = Path("/workspace")
"""Mount point of the fine-tune's volume in a pod (for an existing claim: its sub-path)."""
RUN_CONFIG: Final = Path("/etc/llmfinetune/run.json")
"""The run configuration, mounted from the ConfigMap."""
SOURCES: Final = Path("/mnt/llmfinetune")
"""Below it, `claims/<claim>` and `configmaps/<name>` hold the volumes that sources name."""
HF_TOKEN: Final = Path("/var/run/secrets/llmfinetune/hf/token")
"""The Hugging Face token, mounted from the Secret."""
PROGRESS: Final = Path("/var/run/secrets/kubeflow/trainer")
"""Holds `token` (bound to the progress audience) and `ca.crt`."""
TERMINATION_LOG: Final = Path("/dev/termination-log")

ENV_SERVER_URL: Final = "KUBEFLOW_TRAINER_SERVER_URL"
ENV_SERVER_CA: Final = "KUBEFLOW_TRAINER_SERVER_CA_CERT"
ENV_SERVER_TOKEN: Final = "KUBEFLOW_TRAINER_SERVER_TOKEN"  # noqa: S105 - a variable's name
ENV_ATTEMPT: Final = "LLMFINETUNE_ATTEMPT"
ENV_WORKER_MEMORY: Final = "LLMFINETUNE_WORKER_MEMORY"
"""The workers' memory limit, as a quantity: what preparation holds its estimate against."""
ENV_SOURCES: Final = "LLMFINETUNE_SOURCES"
"""Overrides `SOURCES`, for runs outside a cluster."""

PREPARED = "prepared"
CHECKPOINTS = "checkpoints"
OUTPUT = "output"
ADAPTER = f"{OUTPUT}/adapter"
MERGED = f"{OUTPUT}/merged"
RESULT = f"{OUTPUT}/result.json"


class Layout(NamedTuple):
    """The directories of one fine-tune below `root`."""

    root: Path

    @property
    def cache(self) -> Path:
        """Downloaded models and data, by digest or revision."""
        return self.root / "cache"

    @property
    def prepared(self) -> Path:
        """Prepared data, one directory per key."""
        return self.root / PREPARED

    @property
    def checkpoints(self) -> Path:
        """One directory per checkpoint."""
        return self.root / CHECKPOINTS

    @property
    def origin(self) -> Path:
        """What was taken over from another fine-tune, as a checkpoint."""
        return self.root / "origin"

    @property
    def output(self) -> Path:
        """What a finished run leaves."""
        return self.root / OUTPUT

    @property
    def adapter(self) -> Path:
        """The finished adapter, as plain peft loads it."""
        return self.root / ADAPTER

    @property
    def merged(self) -> Path:
        """The base with the adapter merged in, as plain transformers loads it."""
        return self.root / MERGED

    @property
    def result(self) -> Path:
        """The result manifest, written last."""
        return self.root / RESULT

    @property
    def logs(self) -> Path:
        """`metrics.jsonl` and TensorBoard events."""
        return self.root / "logs"
