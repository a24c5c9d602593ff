import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/engine/" in str(item.path):
            item.add_marker(pytest.mark.timeout(300))  # importing torch takes long on a busy machine
            # deprecations inside of torch, transformers and their bindings are not ours to fix
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::FutureWarning"))
