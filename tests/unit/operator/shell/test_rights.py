"""The rights that are installed are those that the code uses, each of them and no other."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmfinetune_operator.cluster.paths import PLURALS

KUSTOMIZE = Path(__file__).parents[4] / "deploy/kustomize"
WATCHED = {"get", "list", "watch"}
"""By the watches, by the audit, and by looking for what is to be made."""
KEPT = WATCHED | {"create", "patch", "delete"}
"""By server-side apply, and when the time to live of a finished fine-tune is over."""
USED = {
    ("llmfinetune.dev", "llmfinetunes"): WATCHED,
    ("llmfinetune.dev", "llmfinetunes/status"): {"update"},
    ("llmfinetune.dev", "llmfinetunes/finalizers"): {"update"},
    ("", "configmaps"): KEPT,
    ("", "persistentvolumeclaims"): KEPT,
    ("", "serviceaccounts"): KEPT,
    ("batch", "jobs"): KEPT,
    ("kubeflow.org", "pytorchjobs"): KEPT,
    ("", "pods"): WATCHED | {"delete"},
    ("", "events"): {"list"},
    ("events.k8s.io", "events"): {"create"},
    ("authentication.k8s.io", "tokenreviews"): {"create"},
    ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},
}


def rules(*files: str) -> list[dict[str, Any]]:
    documents = (yaml.safe_load((KUSTOMIZE / each).read_text()) for each in files)
    return [rule for document in documents for rule in document["rules"]]


def rights(given: Iterable[dict[str, Any]]) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in given
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


NAMESPACED = USED | {("", "namespaces"): {"list", "watch"}}


@pytest.mark.parametrize(
    ("files", "used"),
    [
        pytest.param(["base/cluster_role.yaml"], USED, id="the whole cluster"),
        pytest.param(
            ["overlays/namespaced/role.yaml", "overlays/namespaced/cluster_role.yaml"],
            NAMESPACED,
            id="one namespace",
        ),
    ],
)
def test_installed_rights_are_those_in_use(files: list[str], used: dict[tuple[str, str], set[str]]) -> None:
    assert rights(rules(*files)) == used


def test_every_watched_kind_may_be_watched() -> None:
    for (api_version, _), plural in PLURALS.items():
        assert USED[api_version.rpartition("/")[0], plural] >= WATCHED
