"""The complete children of one fine-tune: what the builders of `resources` and the backend are given."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from llmfinetune_operator.backends.base import Workers
from llmfinetune_operator.constants import ANNOTATION_IMAGE
from llmfinetune_operator.policies.restart import restart_hash
from llmfinetune_operator.policies.view import View, annotation
from llmfinetune_operator.resources import names, volumes
from llmfinetune_operator.resources.config_map import run_config_map
from llmfinetune_operator.resources.pod import PodSettings
from llmfinetune_operator.resources.prepare_job import prepare_job
from llmfinetune_operator.resources.pvc import volume_claim
from llmfinetune_operator.resources.service_account import service_account
from llmfinetune_trainer.config.quantity import quantity


def desired_claim(view: View) -> list[dict[str, Any]]:
    """The fine-tune's own claim, or nothing where it uses an existing one."""
    storage = view.spec.storage
    if storage.existing_claim:
        return []
    return [
        volume_claim(
            view.owner,
            size=_claim_size(view),
            storage_class_name=storage.storage_class_name,
            access_modes=storage.claim_access_modes,
            retain=storage.retain,
        )
    ]


def _claim_size(view: View) -> str:
    """A volume never shrinks: a claim that was enlarged by hand keeps what it asks for."""
    asked = view.spec.storage.claim_size
    requests = (view.claim or {}).get("spec", {}).get("resources", {}).get("requests", {})
    live = str(requests.get("storage", asked))
    return max(asked, live, key=lambda size: quantity(size) or Decimal())


def desired_configuration(view: View) -> list[dict[str, Any]]:
    """What pods need to be there before they start.

    The account comes first: a pod that is made before the API server's admission has heard of it is refused,
    and its Job waits a second or more before the next try.
    """
    return [
        service_account(view.owner),
        run_config_map(view.owner, view.run_config, progress_ca=view.observed.progress_ca),
    ]


def desired_prepare_job(view: View) -> dict[str, Any]:
    """The prepare Job. Only it gets the sources and the Hugging Face token: workers read what it left."""
    workspace = volumes.shared_volumes(view.run_config, existing_claim=view.spec.storage.existing_claim)
    shared = [*workspace, *volumes.sources(view.run_config, workspace)]
    reference = view.spec.model.token_secret_ref
    token = [volumes.hugging_face_token(reference)] if reference else []
    origin = volumes.origin(view.run_config, shared)
    return prepare_job(
        _pod(view, image=view.spec.runtime.image or view.settings.trainer_image),
        attempt=names.attempt_id(view.owner.uid, 0),
        volumes=[*shared, *token, *origin],
        suspend=view.suspended or view.queue is not None,
        queue=view.queue,
    )


def desired_training_job(
    view: View, *, attempt: int, replicas: int, access_modes: Sequence[str]
) -> dict[str, Any]:
    """The training job of one attempt, with as many workers as there is room for."""
    shared = volumes.shared_volumes(view.run_config, existing_claim=view.spec.storage.existing_claim)
    workers = view.spec.workers
    return view.backend.workers_object(
        Workers(
            pod=_pod(view, image=_training_image(view)),
            volumes=[*shared, volumes.shared_memory()],
            attempt=attempt,
            replicas=replicas,
            min_replicas=workers.min_replicas,
            max_replicas=workers.scale_limit,
            suspend=view.suspended or view.queue is not None,
            queue=view.queue,
            on_one_node="ReadWriteMany" not in access_modes,
            template_hash=restart_hash(view.spec),
        )
    )


def _training_image(view: View) -> str:
    """The image in the spec, else the one that the live job was made with, else the installation's."""
    live = annotation(view.training_job, ANNOTATION_IMAGE)
    return view.spec.runtime.image or live or view.settings.trainer_image


def _pod(view: View, *, image: str) -> PodSettings:
    workers = view.spec.workers
    return PodSettings(
        owner=view.owner,
        image=image,
        image_pull_policy=view.settings.image_pull_policy,
        progress_url=view.settings.progress_url(namespace=view.owner.namespace, name=view.owner.name),
        resources=workers.resources.model_dump(mode="json", exclude_none=True),
        env={variable.name: variable.value for variable in view.spec.runtime.env},
        node_selector=workers.node_selector,
        tolerations=[
            t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in workers.tolerations
        ],
        priority_class_name=view.spec.run_policy.priority_class_name,
        image_pull_secrets=_pull_secrets(view),
    )


def _pull_secrets(view: View) -> list[str]:
    """What the user names, else what the installation does."""
    named = [secret.name for secret in view.spec.runtime.image_pull_secrets]
    return named or list(view.settings.image_pull_secrets)
