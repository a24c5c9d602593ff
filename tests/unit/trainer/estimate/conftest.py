"""Warnings of other people's packages."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # peft still reads a property that transformers has renamed
        item.add_marker(
            pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
        )
