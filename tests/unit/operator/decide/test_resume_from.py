"""Starting from another fine-tune: where its volume lies, and waiting until there is something to take."""

from typing import Any

import pytest

from llmfinetune_trainer.config.run import RunConfig

from .world import CLAIM, DIGEST, JOB, PREPARE, World

CHECKPOINT = {
    "step": 5,
    "time": "2026-11-21T12:00:00Z",
    "path": "checkpoints/step-00000005",
    "sizeBytes": 1,
    "verified": True,
    "resumable": True,
}
OUTPUT = {"adapter": "pvc://first/output/adapter", "sha256": DIGEST}


def other(*, status: dict[str, Any] | None = None, **storage: str) -> dict[str, Any]:
    return {"metadata": {"name": "first"}, "spec": {"storage": storage}, "status": status or {}}


def world(resume: dict[str, str], *, origin: dict[str, Any] | None = None, **changes: Any) -> World:
    made = World(resumeFrom=resume, **changes)
    made.origin = origin
    return made


def settled(made: World) -> World:
    made.settle()
    made.bind()
    made.settle()
    return made


def source_in_pod(made: World) -> str | None:
    data = next(child["data"] for ref, child in made.children.items() if ref.name == "medical-run")
    resume = RunConfig.model_validate_json(data["run.json"]).resume_from
    return resume.source if resume else None


@pytest.mark.parametrize(
    ("resume", "origin", "source"),
    [
        ({"fineTune": "first"}, other(status={"checkpoint": CHECKPOINT}), "pvc://first/."),
        ({"fineTune": "first"}, other(status={"output": OUTPUT}), "pvc://first/."),
        (
            {"fineTune": "first"},
            other(status={"checkpoint": CHECKPOINT}, existingClaim="common"),
            "pvc://common/first",
        ),
        ({"source": "pvc://old/output/adapter", "mode": "warmStart"}, None, "pvc://old/output/adapter"),
    ],
    ids=["it has a checkpoint", "it has finished", "on a shared claim", "a path on a claim"],
)
def test_only_preparation_mounts_the_other_volume_and_reads_it(
    resume: dict[str, str], origin: dict[str, Any] | None, source: str
) -> None:
    made = settled(world(resume, origin=origin))
    claim = source.split("/")[2]
    pod = made.children[PREPARE]["spec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    mount = mounts[f"/mnt/llmfinetune/claims/{claim}"]
    assert mount["readOnly"] is True
    volume = next(volume for volume in pod["volumes"] if volume["name"] == mount["name"])
    assert volume["persistentVolumeClaim"] == {"claimName": claim}
    assert source_in_pod(made) == made.status["resumedFrom"] == source
    made.pod("medical-prepare-x", PREPARE)
    made.end("medical-prepare-x", 0)
    made.finish_job(PREPARE, "Complete")
    made.settle()
    worker = made.children[JOB]["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]
    assert all(claim not in str(volume) for volume in worker["volumes"])


def test_a_claim_that_both_use_is_one_volume_of_the_pod() -> None:
    origin = other(status={"checkpoint": CHECKPOINT}, existingClaim="common")
    made = world({"fineTune": "first"}, origin=origin, storage={"existingClaim": "common"})
    metadata = {"name": "common", "uid": "x", "creationTimestamp": "2026-11-20T12:00:00Z"}
    claim = {"metadata": metadata, "spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Bound"}}
    made.children[CLAIM._replace(name="common")] = claim
    made.settle()
    pod = made.children[PREPARE]["spec"]["template"]["spec"]
    assert [str(volume).count("common") for volume in pod["volumes"]].count(1) == 1
    paths = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    assert {"/workspace", "/mnt/llmfinetune/claims/common"} <= set(paths)


@pytest.mark.parametrize(
    ("origin", "reason"),
    [(None, "ResumeFromMissing"), (other(), "ResumeFromNotReady")],
    ids=["it does not exist", "it has saved nothing yet"],
)
def test_preparation_waits_for_something_to_start_from_and_says_so(
    origin: dict[str, Any] | None, reason: str
) -> None:
    made = settled(world({"fineTune": "first"}, origin=origin))
    assert PREPARE not in made.children
    assert made.status["failure"]["reason"] == reason
    assert made.status["failure"]["retryable"] is True
    assert made.decide().wake_at is not None
    made.origin = other(status={"checkpoint": CHECKPOINT})
    made.settle()
    assert PREPARE in made.children
    assert "failure" not in made.status


def test_the_other_fine_tune_may_go_once_preparation_has_begun() -> None:
    origin = other(status={"checkpoint": CHECKPOINT}, existingClaim="common")
    made = settled(world({"fineTune": "first"}, origin=origin))
    prepare = made.children[PREPARE]
    made.origin = None
    made.settle()
    assert made.children[PREPARE] == prepare
    assert source_in_pod(made) == "pvc://common/first"
    assert "failure" not in made.status


def test_another_name_is_not_mistaken_for_the_one_before() -> None:
    made = settled(world({"fineTune": "first"}, origin=other()))
    made.origin = None
    made.edit(resumeFrom={"fineTune": "second"})
    made.settle()
    assert made.status["failure"]["reason"] == "ResumeFromMissing"
    assert "resumedFrom" not in made.status
