"""The first run's hands: hosts of ~/.ssh/config, a look at each, a file never written over."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from flextui.cli.firstrun import LocalSetup
from flextui.cli.terminal import TerminalLink
from flextui.cli.verb import Options
from flextui.core.adapters import paths
from flextui.core.model.inventory import read_inventory
from flextui.screens.setup import HERE, SetupError, good_name

CONFIG = """
Host *
  ServerAliveInterval 30
Host github.com
  User git
Host gpu1 GPU_2 !gpu9
  HostName 10.0.0.7
  User lab
  Port 2222
Include more
Host far
  ProxyJump bastion
Host *.lab box?
  User x
Match host inner
  User y
Match all
  Compression yes
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("FLEXTUI_INVENTORY", "FLEXTUI_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(CONFIG)
    (tmp_path / ".ssh/more").write_text("Host inside\n  User z\n")
    return tmp_path


@pytest.fixture
def setup(home: Path) -> LocalSetup:
    return LocalSetup(home / "state/flextui")


async def test_hosts_are_offered_without_patterns_and_with_their_jump(setup: LocalSetup) -> None:
    here, *others = await setup.candidates()
    assert here.key == HERE
    assert [it.key for it in others] == ["gpu1", "GPU_2", "inside", "far"]
    assert [it.name for it in others] == ["gpu1", "gpu-2", "inside", "far"]
    assert others[0].reached == "lab@10.0.0.7:2222"
    assert others[3].via == "bastion"


async def test_the_inventory_is_one_and_is_never_written_over(setup: LocalSetup) -> None:
    machines = await setup.candidates()
    keys = [it.key for it in machines]
    path = setup.write("no", keys)
    found = read_inventory(path.read_bytes(), str(path))
    assert found.fleet == "no", "a word that YAML takes for something else is quoted"
    assert [it.transport for it in found.nodes] == ["local", "ssh", "ssh", "ssh", "ssh"]
    assert [it.host for it in found.nodes[1:]] == ["gpu1", "GPU_2", "inside", "far"]
    assert "by way of bastion" in path.read_text()
    path.write_text("mine")
    with pytest.raises(SetupError, match="is there already"):
        setup.write("other", keys)
    assert path.read_text() == "mine"


async def test_no_part_of_an_inventory_stays_where_it_can_not_be_written(
    setup: LocalSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    await setup.candidates()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "disk full")))
        with pytest.raises(SetupError, match="disk full"):
            setup.write("lab", [HERE])
    assert list(setup.path.parent.iterdir()) == []
    assert setup.write("lab", [HERE]).read_text() == setup.text("lab", [HERE])


async def test_this_machine_is_looked_at_and_asked_about_again_until_it_is_over(
    setup: LocalSetup, home: Path
) -> None:
    folder = home / "state/flextui"
    assert paths.is_new(folder)
    await setup.candidates()
    looked = await setup.look(HERE)
    assert not looked.new_keys
    names = {row["name"] for row in looked.rows}
    assert names >= {"reach", "python", "disk"}
    assert paths.is_new(folder), "nothing was decided yet"
    setup.skip()
    assert not paths.is_new(folder)


async def test_it_comes_only_where_nothing_was_set_up(home: Path) -> None:
    assert await TerminalLink(Options()).setup() is not None
    assert await TerminalLink(Options(state_dir=str(home / "other"))).setup() is None
    assert await TerminalLink(Options(connect="head")).setup() is None
    (home / "inventory.yaml").write_text("nodes: [{transport: local, name: x}]\n")
    assert await TerminalLink(Options()).setup() is None


def test_names_of_fleets() -> None:
    assert good_name("vision-lab")
    assert not any(map(good_name, ("", "Lab", "a b", "-a", "x" * 64, "lab\n")))
