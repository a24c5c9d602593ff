"""What people see: columns, explanations, short names, selectors, and errors in kubectl's own words."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from llmfinetune_operator.api.crd import resource_schema
from llmfinetune_operator.api.reference import FieldFacts, fields
from tests.api.client import Client, Json, Kubectl
from tests.api.crd.manifests import PATH, create, fine_tune, set_status
from tests.api.crd.test_status_bounds import FULL

pytestmark = pytest.mark.api

ROOT = Path(__file__).parents[3]
LOCAL = ROOT / "examples/local/finetune.yaml"
MANIFESTS = sorted({*ROOT.glob("deploy/samples/*.yaml"), *ROOT.glob("examples/*/finetune.yaml")} - {LOCAL})
NAME = "shown"


@pytest.fixture(scope="module", autouse=True)
def shown(client: Client) -> Iterator[None]:
    create(client, fine_tune(NAME))
    set_status(client, NAME, **FULL)
    yield
    client.request("DELETE", f"{PATH}/{NAME}")


def table(client: Client) -> Json:
    accept = "application/json;as=Table;g=meta.k8s.io;v=v1"
    return client.request("GET", f"{PATH}?fieldSelector=metadata.name={NAME}", accept=accept).body


def test_columns_in_their_order(client: Client) -> None:
    columns = table(client)["columnDefinitions"]

    shown = [column["name"] for column in columns if column["priority"] == 0]
    wide = [column["name"] for column in columns if column["priority"] > 0]
    assert shown == [
        *("Name", "Phase", "Progress", "Step", "Loss", "ETA"),
        *("Workers", "Checkpoint", "Restarts", "Age"),
    ]
    assert wide == ["Saved", "Tok/s", "Eval", "Backend", "Model", "Reason"]


def test_cells_show_the_status(client: Client) -> None:
    cells = table(client)["rows"][0]["cells"]

    assert cells[:9] == [NAME, "Training", 42, 210, "1.83", 1260, 2, 200, 1]
    assert cells[11:] == ["352", "1.91", "torch", "hf://owner/model", "Started"]


def test_kubectl_get_wide_prints_them(kubectl: Kubectl) -> None:
    head, row = kubectl("get", "llmfinetunes", NAME, "-o", "wide").splitlines()

    assert head.split()[:6] == ["NAME", "PHASE", "PROGRESS", "STEP", "LOSS", "ETA"]
    assert head.split()[-5:] == ["TOK/S", "EVAL", "BACKEND", "MODEL", "REASON"]
    assert row.split()[1:5] == ["Training", "42", "210", "1.83"]


@pytest.mark.parametrize("kind", ["lft", "finetune", "llmfinetune", "llmfinetunes.llmfinetune.dev"])
def test_resource_is_found_under_each_name(kubectl: Kubectl, kind: str) -> None:
    assert NAME in kubectl("get", kind, "-o", "name")


@pytest.mark.parametrize("selector", ["status.phase=Training", "spec.model.source=hf://owner/model"])
def test_fields_select(kubectl: Kubectl, selector: str) -> None:
    assert NAME in kubectl("get", "lft", "-o", "name", "--field-selector", selector)
    assert kubectl("get", "lft", "-o", "name", "--field-selector", f"{selector}x") == ""


def described() -> list[FieldFacts]:
    schema = resource_schema()["properties"]
    return [field for part in ("spec", "status") for field in fields(schema[part], part)]


def test_openapi_describes_every_field(client: Client) -> None:
    published = client.request("GET", "/openapi/v3/apis/llmfinetune.dev/v1alpha1").body["components"][
        "schemas"
    ]
    schema = published["dev.llmfinetune.v1alpha1.LLMFineTune"]["properties"]

    descriptions = {
        field.path: field.schema.get("description")
        for part in ("spec", "status")
        for field in fields(schema[part], part)
    }

    assert descriptions == {field.path: field.schema["description"] for field in described()}


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("spec.training.learningRate", "Peak learning rate of AdamW"),
        ("spec.workers.resources.requests.cpu", "Processor cores"),
        ("spec.training.schedule", "cosine linear constant"),
        ("status.progress.etaSeconds", "Seconds until the end"),
    ],
)
def test_kubectl_explains(kubectl: Kubectl, field: str, says: str) -> None:
    assert says in " ".join(kubectl("explain", f"llmfinetune.{field}").split())


def test_kubectl_apply_refuses_a_misspelled_field(kubectl: Kubectl) -> None:
    manifest = fine_tune("misspelled", training__learningrate=0.1)

    done = kubectl.run("apply", "-f", "-", stdin=json.dumps(manifest))

    assert done.returncode != 0
    assert 'unknown field "spec.training.learningrate"' in done.stderr


def test_kubectl_apply_takes_null_as_left_out(kubectl: Kubectl) -> None:
    manifest = fine_tune("nulls", storage={"size": "10Gi", "storageClassName": None}, runtime={"image": None})

    printed = kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(manifest))

    spec = json.loads(printed)["spec"]
    assert spec["storage"] == {"size": "10Gi", "retain": True}
    assert "image" not in spec["runtime"]


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_kubectl_apply_switches_clipping_off_by_zero(kubectl: Kubectl, flags: tuple[str, ...]) -> None:
    manifest = fine_tune("zero", training__gradientClip=0)

    printed = kubectl(
        "apply", "--dry-run=server", "-o", "json", *flags, "-f", "-", stdin=json.dumps(manifest)
    )

    assert json.loads(printed)["spec"]["training"]["gradientClip"] == 0


def test_kubectl_apply_refuses_nan(kubectl: Kubectl) -> None:
    manifest = yaml.safe_dump(fine_tune("nan", training__learningRate=float("nan")))

    done = kubectl.run("apply", "-f", "-", stdin=manifest)

    assert done.returncode != 0
    assert "NaN" in done.stderr


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shipped_manifest_is_accepted(kubectl: Kubectl, manifest: Path) -> None:
    kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(manifest))


def test_manifest_for_one_machine_is_refused_with_what_a_cluster_needs(kubectl: Kubectl) -> None:
    done = kubectl.run("create", "--dry-run=server", "-f", str(LOCAL))

    assert done.returncode != 0
    assert "spec.dataset.source" in done.stderr
    assert "no source that a cluster can reach" in done.stderr
