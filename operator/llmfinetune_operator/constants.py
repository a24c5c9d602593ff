"""Names that the operator and its users meet: API group, labels, annotations, audiences, ports."""

from typing import Final

GROUP: Final = "llmfinetune.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "LLMFineTune"
PLURAL: Final = "llmfinetunes"

FIELD_MANAGER: Final = "llmfinetune-operator"

LABEL_NAME: Final = f"{GROUP}/name"
"""On every child and pod: name of the fine-tune."""
LABEL_COMPONENT: Final = f"{GROUP}/component"
"""On pods and jobs: prepare | worker."""
LABEL_QUEUE: Final = "kueue.x-k8s.io/queue-name"
"""On jobs: the Kueue LocalQueue that says when they run."""
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
ANNOTATION_TEMPLATE_HASH: Final = f"{GROUP}/template-hash"
"""On jobs: hash of what a running job cannot change without a restart."""
ANNOTATION_ATTEMPT: Final = f"{GROUP}/attempt"
"""On the training job: which attempt it is. One that is behind `status.attempt` makes room for the next."""
ANNOTATION_IMAGE: Final = f"{GROUP}/trainer-image"
"""On the training job: its image, so that an upgrade of the operator leaves running workers alone."""

COMPONENT_PREPARE: Final = "prepare"
COMPONENT_WORKER: Final = "worker"
CONTAINER_PREPARE: Final = "prepare"
CONTAINER_WORKER: Final = "pytorch"
"""The training operator knows the container by this name."""

PROGRESS_AUDIENCE: Final = f"progress.{GROUP}"
"""Audience of the tokens that trainers report with."""
PROGRESS_PORT: Final = 8443
PROGRESS_PATH: Final = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/{namespace}/trainjobs/{name}/status"
