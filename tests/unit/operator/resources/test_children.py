"""What the children say: rights they do without, volumes, environment, ownership."""

import copy
import json
from typing import Any

import pytest

from llmfinetune_trainer.config.run import RunConfig
from tests.unit.operator.decide.world import CLAIM, JOB, PREPARE, UID, World


def pod_spec(world: World, job: str) -> dict[str, Any]:
    if job == "prepare":
        spec: dict[str, Any] = world.children[PREPARE]["spec"]["template"]["spec"]
        return spec
    worker: dict[str, Any] = world.children[JOB]["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]
    return worker


def existing(name: str) -> dict[str, Any]:
    """A claim of the user's."""
    metadata = {"name": name, "uid": "x", "creationTimestamp": "2026-11-20T12:00:00Z"}
    return {"metadata": metadata, "spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Bound"}}


def env(spec: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in spec["containers"][0]["env"]}


def mounts(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}


@pytest.mark.parametrize("job", ["prepare", "train"])
def test_pods_pass_pod_security_restricted(job: str) -> None:
    spec = pod_spec(World().prepared(), job)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    container = spec["containers"][0]["securityContext"]
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert container["readOnlyRootFilesystem"] is True
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} <= allowed
    assert not any(spec.get(namespace) for namespace in ("hostNetwork", "hostPID", "hostIPC"))


@pytest.mark.parametrize("job", ["prepare", "train"])
def test_pods_get_no_token_but_the_one_for_progress(job: str) -> None:
    spec = pod_spec(World().prepared(), job)
    assert spec["automountServiceAccountToken"] is False
    sources = next(v for v in spec["volumes"] if v["name"] == "progress")["projected"]["sources"]
    assert sources[0]["serviceAccountToken"]["audience"] == "progress.llmfinetune.dev"
    directory = env(spec)["KUBEFLOW_TRAINER_SERVER_TOKEN"].rsplit("/", 1)[0]
    assert directory in mounts(spec)


def test_only_preparation_gets_the_hugging_face_token_and_as_a_file() -> None:
    reference = {"source": "hf://a/b", "tokenSecretRef": {"name": "hf", "key": "k"}}
    world = World(model=reference).prepared()
    volume = next(v for v in pod_spec(world, "prepare")["volumes"] if v["name"] == "hf-token")
    assert volume["secret"] == {"secretName": "hf", "items": [{"key": "k", "path": "token", "mode": 0o440}]}
    assert '"secret"' not in json.dumps(pod_spec(world, "train"))
    assert "HF_TOKEN" not in env(pod_spec(world, "prepare"))


@pytest.mark.parametrize("job", ["prepare", "train"])
def test_every_mount_has_its_volume_and_every_path_its_own_mount(job: str) -> None:
    spec = pod_spec(World(model={"source": "pvc://models/smollm"}).prepared(), job)
    paths = [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]
    assert len(set(paths)) == len(paths)
    assert {m["name"] for m in mounts(spec).values()} == {v["name"] for v in spec["volumes"]}


def test_only_preparation_mounts_the_sources_which_may_be_bound_to_one_node() -> None:
    world = World(model={"source": "pvc://models/smollm"}).prepared()
    preparing, training = mounts(pod_spec(world, "prepare")), mounts(pod_spec(world, "train"))
    sources = {"/mnt/llmfinetune/claims/models", "/mnt/llmfinetune/configmaps/flashcards"}
    assert all(preparing[path]["readOnly"] for path in sources)
    assert sources.isdisjoint(training)


SHARED = "pvc://shared/models/smollm"
ON_ONE_CLAIM: dict[str, dict[str, Any]] = {
    "the model": {"model": {"source": SHARED}},
    "the data": {"dataset": {"source": "pvc://shared/cards.jsonl"}},
    "both": {"model": {"source": SHARED}, "dataset": {"source": "pvc://shared/cards.jsonl"}},
    "both, and what it starts from": {
        "model": {"source": SHARED},
        "dataset": {"source": "pvc://shared/cards.jsonl"},
        "resumeFrom": {"source": "pvc://shared/other"},
    },
}


@pytest.mark.parametrize("sources", ON_ONE_CLAIM.values(), ids=ON_ONE_CLAIM.keys())
def test_a_claim_that_the_workspace_lies_on_too_is_one_volume_of_the_pod(sources: dict[str, Any]) -> None:
    """Kubelet waits for ever for a claim that two volumes of one pod name."""
    world = World(storage={"existingClaim": "shared"}, **sources)
    world.children[CLAIM._replace(name="shared")] = existing("shared")
    world.settle()
    spec = pod_spec(world, "prepare")
    volumes = [each["name"] for each in spec["volumes"] if "shared" in str(each)]
    mounted = [
        (m["mountPath"], m.get("readOnly", False)) for m in mounts(spec).values() if m["name"] in volumes
    ]
    assert volumes == ["workspace"]
    assert sorted(mounted) == [("/mnt/llmfinetune/claims/shared", True), ("/workspace", False)]


UNREACHABLE = "node.kubernetes.io/unreachable"
TOLERATED: dict[str, tuple[list[dict[str, Any]], list[int | None]]] = {
    "not for long where nothing is said": ([], [30]),
    "not for long beside other tolerations": ([{"key": "gpu", "operator": "Exists"}], [30]),
    "as long as the user says": (
        [{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 600}],
        [600],
    ),
    "for ever where the user says so": ([{"key": UNREACHABLE, "operator": "Exists"}], [None]),
}


@pytest.mark.parametrize("job", ["prepare", "train"])
@pytest.mark.parametrize(("given", "seconds"), TOLERATED.values(), ids=TOLERATED.keys())
def test_silent_nodes_are_put_up_with(job: str, given: list[Any], seconds: list[int | None]) -> None:
    spec = pod_spec(World(workers={"replicas": 1, "tolerations": given}).prepared(), job)
    found = [each.get("tolerationSeconds") for each in spec["tolerations"] if each["key"] == UNREACHABLE]
    assert found == seconds


@pytest.mark.parametrize("job", ["prepare", "train"])
def test_pods_ask_service_meshes_to_leave_them_alone(job: str) -> None:
    world = World().prepared()
    template = (
        world.children[PREPARE]["spec"]["template"]
        if job == "prepare"
        else world.children[JOB]["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]
    )
    assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert template["metadata"]["annotations"] == {"linkerd.io/inject": "disabled"}


OF_ALL = ("all", "more")
SECRETS: dict[str, tuple[list[str], tuple[str, ...], list[str] | None]] = {
    "nobody names one": ([], (), None),
    "the user does": (["mine"], (), ["mine"]),
    "the installation does": ([], OF_ALL, ["all", "more"]),
    "both do: the user's": (["mine"], OF_ALL, ["mine"]),
}


@pytest.mark.parametrize("job", ["prepare", "train"])
@pytest.mark.parametrize(("user", "installation", "found"), SECRETS.values(), ids=SECRETS.keys())
def test_images_are_pulled_with_the_secrets_that_are_named(
    job: str, user: list[str], installation: tuple[str, ...], found: list[str] | None
) -> None:
    world = World(runtime={"imagePullSecrets": [{"name": name} for name in user]})
    world.settings = world.settings.model_copy(update={"image_pull_secrets": installation})
    secrets = pod_spec(world.prepared(), job).get("imagePullSecrets")
    assert secrets == (None if found is None else [{"name": name} for name in found])


def test_users_tune_the_environment_but_not_the_contract() -> None:
    variables = [{"name": "OMP_NUM_THREADS", "value": "7"}, {"name": "EXTRA", "value": "x"}]
    spec = pod_spec(World(runtime={"env": variables}).prepared(), "train")
    assert (env(spec)["OMP_NUM_THREADS"], env(spec)["EXTRA"]) == ("7", "x")
    assert env(spec)["LLMFINETUNE_ATTEMPT"] == f"{UID}-1"
    assert env(spec)["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"


THREADS = {
    "the limit": ({"requests": {"cpu": "1"}, "limits": {"cpu": "3500m"}}, "3"),
    "the request without a limit": ({"requests": {"cpu": "2"}}, "2"),
    "at least one": ({"requests": {"cpu": "100m"}}, "1"),
}


@pytest.mark.parametrize(("resources", "threads"), THREADS.values(), ids=THREADS.keys())
def test_threads_follow(resources: dict[str, Any], threads: str) -> None:
    world = World(workers={"replicas": 1, "resources": resources}).prepared()
    assert env(pod_spec(world, "train"))["OMP_NUM_THREADS"] == threads


@pytest.mark.parametrize("component", ["prepare", "train"])
def test_pods_know_the_memory_of_a_worker(component: str) -> None:
    resources = {"requests": {"memory": "1Gi"}, "limits": {"memory": "1500Mi"}}
    world = World(workers={"replicas": 1, "resources": resources}).prepared()
    assert env(pod_spec(world, component))["LLMFINETUNE_WORKER_MEMORY"] == "1500Mi"


def test_memory_without_a_limit_is_not_told() -> None:
    world = World(workers={"replicas": 1, "resources": {"requests": {"memory": "1Gi"}}}).prepared()
    assert "LLMFINETUNE_WORKER_MEMORY" not in env(pod_spec(world, "train"))


def test_an_elastic_job_has_what_torchrun_needs() -> None:
    job = World().prepared().children[JOB]["spec"]
    assert job["nprocPerNode"] == "1"
    assert job["runPolicy"] == {"cleanPodPolicy": "Running", "suspend": False}
    policy = job["elasticPolicy"]
    assert (policy["minReplicas"], policy["maxReplicas"], policy["rdzvBackend"]) == (1, 4, "c10d")
    assert policy["rdzvId"] == f"{UID}-1"
    worker = job["pytorchReplicaSpecs"]["Worker"]
    assert (worker["replicas"], worker["restartPolicy"]) == (2, "ExitCode")
    assert worker["template"]["spec"]["containers"][0]["name"] == "pytorch"


PLACEMENT = {"ReadWriteOnce": "affinity", "ReadWriteMany": "topologySpreadConstraints"}


@pytest.mark.parametrize(("mode", "field"), PLACEMENT.items())
def test_workers_sit_together_only_where_the_volume_needs_it(mode: str, field: str) -> None:
    spec = pod_spec(World(storage={"accessModes": [mode]}).prepared(), "train")
    assert {"affinity", "topologySpreadConstraints"} & set(spec) == {field}


@pytest.mark.parametrize(("retain", "owners"), [(True, 0), (False, 1)])
def test_a_retained_claim_has_no_owner(retain: bool, owners: int) -> None:
    world = World(storage={"retain": retain}).prepared()
    assert len(world.children[CLAIM]["metadata"]["ownerReferences"]) == owners
    others = [child for ref, child in world.children.items() if ref != CLAIM]
    assert all(child["metadata"]["ownerReferences"][0]["uid"] == UID for child in others)
    assert all(child["metadata"]["ownerReferences"][0]["controller"] for child in others)


def test_whether_the_claim_is_retained_can_change_even_at_the_end() -> None:
    world = World(storage={"retain": False}).training()
    world.told(result=world.result())
    world.finish_job(JOB, "Succeeded")
    world.settle()
    world.edit(storage={"retain": True})
    world.settle()
    assert world.children[CLAIM]["metadata"]["ownerReferences"] == []


def test_an_existing_claim_is_entered_below_the_name_of_the_fine_tune() -> None:
    world = World(storage={"existingClaim": "shared"})
    world.children[CLAIM._replace(name="shared")] = existing("shared")
    world.settle()
    assert mounts(pod_spec(world, "prepare"))["/workspace"]["subPath"] == "medical"
    assert CLAIM not in world.children


def test_the_trainer_can_read_its_run_configuration() -> None:
    world = World().prepared()
    data = next(child["data"] for ref, child in world.children.items() if ref.name == "medical-run")
    config = RunConfig.model_validate_json(data["run.json"])
    assert (config.name, config.namespace) == ("medical", "ml")


def test_two_decisions_share_no_value() -> None:
    world = World().prepared()
    first = world.decide()
    kept = copy.deepcopy(first.apply)
    for obj in world.decide().apply:
        dict(obj)["metadata"]["labels"]["x"] = "y"
    assert first.apply == kept
