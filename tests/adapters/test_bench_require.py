"""A missing tool skips on a laptop and fails in CI."""

from __future__ import annotations

import pytest

from tests.bench import require


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(require, "missing", {"docker": "it is not there", "gcc": None}.get)


@pytest.mark.usefixtures("no_docker")
def test_a_need_that_is_met_lets_the_test_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(require.REQUIRE, "all")
    require.requires("gcc")


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize("declared", ["", "sshd,slurm"])
def test_a_missing_need_skips(monkeypatch: pytest.MonkeyPatch, declared: str) -> None:
    monkeypatch.setenv(require.REQUIRE, declared)
    with pytest.raises(pytest.skip.Exception, match="it is not there"):
        require.requires("gcc", "docker")


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize("declared", ["all", "sshd,docker"])
def test_a_missing_need_that_is_declared_fails(
    monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    monkeypatch.setenv(require.REQUIRE, declared)
    with pytest.raises(pytest.fail.Exception, match="demands docker"):
        require.requires("gcc", "docker")


def test_a_program_that_is_nowhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(require, "_search_path", lambda: "/nonexistent")
    require.missing.cache_clear()
    assert require.missing("tmux") == "tmux not found"
    require.missing.cache_clear()


def test_an_unknown_need_is_a_mistake_of_the_test() -> None:
    with pytest.raises(KeyError):
        require.missing("teleporter")
