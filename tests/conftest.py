"""Fixtures of the test bench. Imports of the bench stay inside, so that unit tests start fast."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bench.gpus import FakeGpus


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "requires(*needs): what the test needs of the machine; see bench/require.py"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("requires"):
        from tests.bench.require import requires

        requires(*mark.args)


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty 0700 folder with a short path: a Unix socket's may be 108 bytes long."""
    folder = Path(tempfile.mkdtemp(prefix="fx-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fake_gpus(tmp_path: Path) -> FakeGpus:
    """Two H100s that exist in a file; ``fake_gpus.env`` makes a process see them."""
    from tests.bench.gpus import FakeGpus
    from tests.bench.require import requires

    requires("gcc")
    return FakeGpus(tmp_path / "gpus", 2)
