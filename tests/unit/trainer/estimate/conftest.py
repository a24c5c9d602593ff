"""Warnings of other people's packages, and time for their imports."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/estimate/" in str(item.path):
            item.add_marker(pytest.mark.timeout(300))  # importing torch takes long on a busy machine
            # peft still reads a property that transformers has renamed
            item.add_marker(
                pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
            )
