"""What is installed can start: every overlay names both images, where the base has them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

KUSTOMIZE = Path(__file__).parents[4] / "deploy/kustomize"


def document(path: str) -> dict[str, Any]:
    return dict(yaml.safe_load((KUSTOMIZE / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize("overlay", ["dev", "namespaced"])
def test_an_overlay_names_both_images(overlay: str) -> None:
    container = document("base/deployment.yaml")["spec"]["template"]["spec"]["containers"][0]
    kustomization = document(f"overlays/{overlay}/kustomization.yaml")
    (image,) = kustomization["images"]
    operations = [
        each for patch in kustomization["patches"] for each in yaml.safe_load(patch.get("patch", "[]"))
    ]
    assert image["name"] == container["image"]
    assert image["newTag"]
    assert container["env"][0]["name"] == "LLMFINETUNE_TRAINER_IMAGE"
    (trainer,) = (
        each for each in operations if each["path"] == "/spec/template/spec/containers/0/env/0/value"
    )
    assert (trainer["op"], trainer["value"].rpartition(":")[2]) == ("replace", image["newTag"])
