"""The first run over a real sshd: a key that nobody has seen is asked about, never just taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from flextui.cli.firstrun import LocalSetup
from tests.bench.nodes import SshFleet


async def test_a_host_is_reached_only_once_its_key_is_trusted(
    ssh_fleet: SshFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_fleet.add("gpu1", gpus=2, gpu_model="a100")
    home = ssh_fleet.write_home(tmp_path / "home")
    (home / ".ssh/known_hosts").unlink()
    config = ssh_fleet.ssh_config.read_text()
    (home / ".ssh/config").unlink()
    lines = [it for it in config.splitlines() if "knownhostsfile" not in it.lower()]
    (home / ".ssh/config").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    state = tmp_path / "state"
    setup = LocalSetup(state)
    machines = {it.key: it for it in await setup.candidates()}
    assert "gpu1" in machines
    looked = await setup.look("gpu1")
    assert looked.rows == (), "nothing was done there"
    (key,) = looked.new_keys
    assert "SHA256:" in key
    assert not (state / "known_hosts").exists()
    await setup.trust("gpu1")
    looked = await setup.look("gpu1")
    assert looked.new_keys == ()
    assert looked.failed is None
    texts = {row["name"]: row["text"] for row in looked.rows}
    assert "2 ×" in texts["nvml"]
    assert setup.write("lab", ["", "gpu1"]).read_text().count("name:") == 2
