"""Secrets disappear, what a person needs to understand a message stays."""

import pytest

from llmfinetune_trainer.config.redaction import MASK, redact

SECRETS = {
    "Hugging Face token": "hf_AbCdEfGhIjKlMnOpQr",
    "bearer token": "Bearer abc.def-ghi",
    "bearer header": "Authorization: Bearer abcdefghijkl",
    "JSON web token": "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl",
    "assigned password": 'password="correct horse"',
    "assigned key": "api_key: 12345678",
    "credentials in a URL": "https://user:pa55@host/x",
    "encoded value": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXI5",
}
SECRET_PARTS = ("hf_Ab", "abc.def", "abcdefghijkl", "eyJ", "correct", "12345678", "pa55", "QUJD")
HARMLESS = [
    'secret "hf-token" not found',
    "references non-existent secret key: token",
    "kubectl create secret generic hf-token --from-literal=token=<token>",
    "digest sha256:" + "0123456789abcdef" * 4 + " differs",
    "/workspace/cache/models--HuggingFaceTB--SmolLM2-135M-Instruct/snapshots/main/model.safetensors",
    "maxReplicas 4 is less than replicas 5",
]


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_masked(text: str) -> None:
    redacted = redact(f"failed with {text} at step 3")
    assert MASK in redacted
    assert not any(part in redacted for part in SECRET_PARTS)
    assert redacted.startswith("failed with ")
    assert redact(redacted) == redacted


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays(text: str) -> None:
    assert redact(text) == text
