"""Volumes of prepare and worker pods, each with the one place where it is mounted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llmfinetune_operator.constants import PROGRESS_AUDIENCE
from llmfinetune_operator.resources import names
from llmfinetune_operator.resources.config_map import CA_KEY
from llmfinetune_trainer.config import layout
from llmfinetune_trainer.config.run import RunConfig, SecretKeyRef
from llmfinetune_trainer.config.source import Source, parse_source

SCRATCH = "/tmp"  # noqa: S108 - a volume of the pod's own
TOKEN_SECONDS = 3600
SHARED_MEMORY = "512Mi"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A pod's volume and its mount."""

    name: str
    path: str
    source: dict[str, Any]
    read_only: bool = False
    sub_path: str = ""

    def pod_volume(self) -> dict[str, Any]:
        """The entry in `spec.volumes`."""
        return {"name": self.name, **self.source}

    def mount(self) -> dict[str, Any]:
        """The entry in the container's `volumeMounts`."""
        mount: dict[str, Any] = {"name": self.name, "mountPath": self.path}
        if self.read_only:
            mount["readOnly"] = True
        if self.sub_path:
            mount["subPath"] = self.sub_path
        return mount


def shared_volumes(config: RunConfig, *, existing_claim: str | None) -> list[Volume]:
    """The volumes of every pod: workspace, configuration, progress credentials and scratch space."""
    return [
        _workspace(config.name, existing_claim),
        _run_config(config.name),
        _progress(config.name),
        Volume(name="scratch", path=SCRATCH, source={"emptyDir": {}}),
    ]


def sources(config: RunConfig, mounted: Sequence[Volume]) -> list[Volume]:
    """What model and data are read from, for the prepare Job.

    Workers read what it left in the workspace, and must not mount these: a claim for one node would keep them
    from spreading over others.
    """
    named = [parse_source(config.model.source), parse_source(config.dataset.source)]
    claims = sorted({source.name for source in named if source.scheme == "pvc"})
    return [
        *(_claim(claim, f"source-claim-{index}", mounted) for index, claim in enumerate(claims)),
        *_config_maps(named),
    ]


def origin(config: RunConfig, mounted: Sequence[Volume]) -> list[Volume]:
    """The claim that `resumeFrom` names, for the prepare Job: workers read what it copied."""
    if config.resume_from is None or config.resume_from.source is None:
        return []
    found = _claim(parse_source(config.resume_from.source).name, "origin", mounted)
    return [] if any(volume.path == found.path for volume in mounted) else [found]


def shared_memory() -> Volume:
    """Memory through which processes of one pod exchange tensors."""
    return Volume(
        name="shared-memory",
        path="/dev/shm",  # noqa: S108 - a volume of the pod's own
        source={"emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}},
    )


def hugging_face_token(reference: SecretKeyRef) -> Volume:
    """The user's Hugging Face token as a file that only the pod's group can read."""
    items = [{"key": reference.key, "path": layout.HF_TOKEN.name, "mode": 0o440}]
    return Volume(
        name="hf-token",
        path=str(layout.HF_TOKEN.parent),
        source={"secret": {"secretName": reference.name, "items": items}},
        read_only=True,
    )


def _workspace(name: str, existing_claim: str | None) -> Volume:
    return Volume(
        name="workspace",
        path=str(layout.WORKSPACE),
        source={"persistentVolumeClaim": {"claimName": existing_claim or names.claim(name)}},
        # A claim that others use too is entered at a directory of this fine-tune's own.
        sub_path=name if existing_claim else "",
    )


def _run_config(name: str) -> Volume:
    return Volume(
        name="run-config",
        path=str(layout.RUN_CONFIG.parent),
        source={
            "configMap": {
                "name": names.run_config_map(name),
                "items": [{"key": layout.RUN_CONFIG.name, "path": layout.RUN_CONFIG.name}],
            }
        },
        read_only=True,
    )


def _progress(name: str) -> Volume:
    token = {"audience": PROGRESS_AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token"}
    authority = {
        "name": names.run_config_map(name),
        "items": [{"key": CA_KEY, "path": CA_KEY}],
    }
    return Volume(
        name="progress",
        path=str(layout.PROGRESS),
        source={"projected": {"sources": [{"serviceAccountToken": token}, {"configMap": authority}]}},
        read_only=True,
    )


def _claim(claim: str, name: str, mounted: Sequence[Volume]) -> Volume:
    """A claim that is only read.

    One that the pod mounts anyway is mounted a second time under the same volume, because kubelet waits for
    ever for a claim that two volumes of one pod name.
    """
    source = {"persistentVolumeClaim": {"claimName": claim}}
    same = next((volume.name for volume in mounted if volume.source == source), name)
    return Volume(name=same, path=str(layout.SOURCES / "claims" / claim), source=source, read_only=True)


def _config_maps(named: list[Source]) -> Iterable[Volume]:
    config_maps = sorted({source.name for source in named if source.scheme == "configMap"})
    for index, name in enumerate(config_maps):
        yield Volume(
            name=f"source-config-map-{index}",
            path=str(layout.SOURCES / "configmaps" / name),
            source={"configMap": {"name": name}},
            read_only=True,
        )
