"""The tests of this folder are run by `make test-files`, and the slow ones by `make test-slow`."""

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before what is marked is chosen
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.files)
