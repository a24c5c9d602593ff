"""Where objects live below the API server's root."""

from typing import Final

from llmfinetune_operator.constants import API_VERSION, KIND, PLURAL
from llmfinetune_operator.observed import ChildRef, Key
from llmfinetune_operator.resources.names import TRAINING_API_VERSION, TRAINING_KIND

TRAINING_PLURAL: Final = "pytorchjobs"

PLURALS: Final = {
    (API_VERSION, KIND): PLURAL,
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "PersistentVolumeClaim"): "persistentvolumeclaims",
    ("v1", "Pod"): "pods",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("batch/v1", "Job"): "jobs",
    (TRAINING_API_VERSION, TRAINING_KIND): TRAINING_PLURAL,
}
"""Every kind that this operator watches, as the API server's paths spell it."""

TOKEN_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
TRAINING_API: Final = f"/apis/{TRAINING_API_VERSION}"


def api_root(api_version: str) -> str:
    """Return the path of a group and version; the core group has a root of its own."""
    return f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"


def collection(api_version: str, kind: str, namespace: str | None) -> str:
    """Return the path of all objects of a kind, in one namespace or (None) in all."""
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{api_root(api_version)}{where}/{PLURALS[api_version, kind]}"


def single(ref: ChildRef, namespace: str) -> str:
    """Return the path of one object."""
    return f"{collection(ref.api_version, ref.kind, namespace)}/{ref.name}"


def fine_tune(key: Key) -> str:
    """Return the path of a fine-tune."""
    return single(ChildRef(API_VERSION, KIND, key.name), key.namespace)


def events(namespace: str) -> str:
    """Return the path of events as they are read, with the field selectors of the core API."""
    return f"/api/v1/namespaces/{namespace}/events"


def new_events(namespace: str) -> str:
    """Return the path of events as they are written."""
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
