"""~/.ssh/config as OpenSSH itself reads it: `ssh -G` is the judge where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from flextui.core.adapters.ssh_config import ClientConfig, ConfigError, HostOptions

CONFIG = """
# a comment
Include {include}

Host gpu1 gpu2.lab.example
  HostName = %h.lab.example
    User lab
  IdentityFile "~/.ssh/id with space"
  IdentityFile %d/keys/%n-%r

Host gpu* !gpu9
  Port 2200
  User ignored
  ProxyJump alice@bastion:2022
  ConnectTimeout=7

Host gpu9
  ProxyJump none
  HostKeyAlias the-ninth
  IdentityAgent ~/agent.sock

Match host *.lab.example user lab
  IdentityFile ~/.ssh/matched
  IdentitiesOnly yes

Match originalhost plain exec "test %n = plain"
  User executed

Match final host *.lab.example
  ForwardAgent no
  UserKnownHostsFile ~/.ssh/final_hosts

Match !localuser nobody-at-all
  ServerAliveInterval 3

Host *
  User everybody
  ProxyCommand none
  UserKnownHostsFile ~/.ssh/known_hosts ~/.ssh/more_hosts
"""
INCLUDED = """
Host included
  HostName 10.9.8.7
  Port 99
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "extra.conf").write_text(INCLUDED)
    path = tmp_path / "config"
    path.write_text(CONFIG.format(include=tmp_path / "ex*.conf"))
    return path


def options(config: Path, host: str, **given: object) -> HostOptions:
    return ClientConfig((config,)).lookup(host, **given)  # type: ignore[arg-type]


def openssh(config: Path, host: str) -> dict[str, list[str]]:
    done = subprocess.run(
        ["ssh", "-F", str(config), "-G", host], capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        option, _, value = line.partition(" ")
        found.setdefault(option, []).append(value)
    return found


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's client to compare with")
@pytest.mark.parametrize(
    "host", ["gpu1", "gpu2.lab.example", "gpu3", "gpu9", "included", "plain", "other.example"]
)
def test_every_host_is_read_as_openssh_reads_it(config: Path, host: str) -> None:
    ours, theirs = options(config, host), openssh(config, host)
    assert [ours.host] == theirs["hostname"]
    assert [str(ours.port)] == theirs["port"]
    assert [ours.user] == theirs["user"]
    for option in ("proxyjump", "hostkeyalias", "connecttimeout", "serveraliveinterval"):
        default = {"connecttimeout": "none", "serveraliveinterval": "0"}.get(option)
        mine = ours.one(option)
        if mine not in (None, "none"):
            assert [mine] == theirs[option]
        else:
            assert theirs.get(option, [default]) == [default]
    files = ours.paths("identityfile")
    if files is not None:
        home = str(Path.home())
        expected = [name.replace("~", home) for name in theirs["identityfile"]]
        shown = [str(file) for file in files]
        assert [name for name in expected if "%" not in name] == [
            name for name, full in zip(shown, expected, strict=True) if "%" not in full
        ]


def test_what_is_given_goes_before_and_defaults_after(config: Path) -> None:
    assert options(config, "gpu1", user="root", port=22).user == "root"
    assert options(config, "gpu1", default_user="nobody", default_port=1).user == "lab"
    bare = config.with_name("bare")
    found = options(bare, "gpu1", default_user="lab", default_port=2022)
    assert (found.host, found.user, found.port) == ("gpu1", "lab", 2022)


def test_tokens_and_tildes(config: Path) -> None:
    found = options(config, "gpu1")
    home = Path.home()
    assert found.paths("identityfile") == (
        home / ".ssh/id with space",
        home / "keys/gpu1-lab",
        home / ".ssh/matched",
    )
    assert options(config, "gpu9").one("identityagent") == str(home / "agent.sock")


def test_a_changed_file_is_read_again(config: Path) -> None:
    reader = ClientConfig((config,))
    assert reader.lookup("included").host == "10.9.8.7"
    config.with_name("extra.conf").write_text("Host included\n  HostName 10.0.0.1\n# longer\n")
    assert reader.lookup("included").host == "10.0.0.1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('User "lab\n', "line 1: a quote isn't closed"),
        ("Host *\nPort\n", "line 2: Port has no value"),
        ("Port many\n", "Port many"),
        ("Match user\n", "line 1: Match user has no value"),
    ],
)
def test_what_cannot_be_followed_names_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        options(path, "gpu1")


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(f"Include {path}\n")
    with pytest.raises(ConfigError, match="without end"):
        options(path, "gpu1")
