"""A hub of real processes, which does not outlive its test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.hubs import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    yield made
    if made.daemon and made.daemon.poll() is None:
        made.daemon.terminate()
        made.daemon.wait(60)
