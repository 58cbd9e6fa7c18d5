"""Fixtures of the test bench. Imports of the bench stay inside, so that unit tests start fast."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bench.gpus import FakeGpus
    from tests.bench.nodes import SshFleet


def pytest_configure(config: pytest.Config) -> None:
    from hypothesis import HealthCheck, settings

    # Time decides no test: a loaded machine is slow, not wrong. Nor does luck where a change is
    # judged: new examples are looked for at a desk, and what they find gets a test of its own.
    settings.register_profile(
        "flextui",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize="FLEXTUI_TEST_REQUIRE" in os.environ,
    )
    settings.load_profile("flextui")
    config.addinivalue_line(
        "markers", "requires(*needs): what the test needs of the machine; see bench/require.py"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("requires"):
        from tests.bench.require import requires

        requires(*mark.args)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Cores and terminals keep the collector from what stays (they end with their process). Here
    one process sees hundreds of them."""
    if nextitem is None or nextitem.path != item.path:
        gc.unfreeze()
        gc.set_threshold(700, 10, 10)
        gc.collect()


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


@pytest.fixture(scope="session")
def _accounts_in_use() -> Iterator[None]:
    from tests.bench.accounts import in_use

    with in_use():
        yield


@pytest.fixture
def people(_accounts_in_use: None) -> tuple[str, str, str]:
    """Three accounts of this machine with a home each: alice, bob and carol."""
    from tests.bench.accounts import ensure
    from tests.bench.require import requires

    requires("root")
    names = ("alice", "bob", "carol")
    for name in names:
        ensure(name)
    return names


def _fleet(need: str) -> Iterator[SshFleet]:
    from tests.bench.netns import NetnsFleet
    from tests.bench.nodes import SshFleet
    from tests.bench.require import requires

    requires(need)
    folder = Path(tempfile.mkdtemp(prefix="fx-fleet-"))
    folder.chmod(0o755)
    try:
        with {"sshd": SshFleet, "netns": NetnsFleet}[need](folder) as fleet:
            yield fleet
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def ssh_fleet(_accounts_in_use: None) -> Iterator[SshFleet]:
    """A fleet without nodes yet: ``ssh_fleet.add("gpu1", gpus=2)``."""
    yield from _fleet("sshd")


@pytest.fixture(scope="module")
def module_ssh_fleet(_accounts_in_use: None) -> Iterator[SshFleet]:
    """A fleet that the tests of one module share."""
    yield from _fleet("sshd")


@pytest.fixture
def netns_fleet(_accounts_in_use: None) -> Iterator[SshFleet]:
    """A fleet whose nodes each have a network of their own and a cable that can be cut."""
    yield from _fleet("netns")
