"""Settings come from the environment, and what is wrong there is named."""

import pytest

from llmfinetune_operator.settings import Settings


def test_variables_become_fields_and_empty_ones_do_not_count() -> None:
    env = {
        "LLMFINETUNE_TRAINER_IMAGE": "t:1",
        "LLMFINETUNE_RESYNC_SECONDS": "60",
        "LLMFINETUNE_CLUSTER_DOMAIN": "",
    }
    settings = Settings.from_environment(env)
    assert (settings.trainer_image, settings.resync_seconds, settings.cluster_domain) == (
        "t:1",
        60.0,
        "cluster.local",
    )


NAMES = {
    "none": ("", ()),
    "one": ("regcred", ("regcred",)),
    "two, with spaces": ("regcred, other.example", ("regcred", "other.example")),
}


@pytest.mark.parametrize(("text", "names"), NAMES.values(), ids=NAMES.keys())
def test_names_have_commas_between_them(text: str, names: tuple[str, ...]) -> None:
    env = {"LLMFINETUNE_TRAINER_IMAGE": "t", "LLMFINETUNE_IMAGE_PULL_SECRETS": text}
    assert Settings.from_environment(env).image_pull_secrets == names


def test_a_name_that_no_secret_can_have_is_refused() -> None:
    env = {"LLMFINETUNE_TRAINER_IMAGE": "t", "LLMFINETUNE_IMAGE_PULL_SECRETS": "Reg Cred"}
    with pytest.raises(ValueError, match="LLMFINETUNE_IMAGE_PULL_SECRETS"):
        Settings.from_environment(env)


def test_every_variable_at_fault_is_named() -> None:
    with pytest.raises(ValueError, match=r"LLMFINETUNE_TRAINER_IMAGE.*LLMFINETUNE_RESYNC_SECONDS"):
        Settings.from_environment({"LLMFINETUNE_RESYNC_SECONDS": "soon"})


def test_progress_url_names_the_fine_tune() -> None:
    url = Settings(trainer_image="t").progress_url(namespace="ml", name="medical")
    assert url == (
        "https://llmfinetune-operator.llmfinetune-system.svc.cluster.local:8443"
        "/apis/trainer.kubeflow.org/v1alpha1/namespaces/ml/trainjobs/medical/status"
    )
