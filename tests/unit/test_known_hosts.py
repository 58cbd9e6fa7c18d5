"""Host keys that were vouched for, as OpenSSH files them."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path

import asyncssh
import pytest

from flextui.core.adapters.known_hosts import KnownHosts

KEY, OTHER = (asyncssh.generate_private_key("ssh-ed25519").convert_to_public() for _ in range(2))


def public(key: asyncssh.SSHKey) -> str:
    return str(key.export_public_key().decode().strip())


def hashed(name: str) -> str:
    salt = b"0123456789abcdef0123"
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.mark.parametrize(
    ("names", "host", "port", "found"),
    [
        ("gpu1,10.0.0.1", "gpu1", 22, True),
        ("gpu1,10.0.0.1", "10.0.0.1", 22, True),
        ("gpu1", "GPU1", 22, True),
        ("gpu1", "gpu2", 22, False),
        ("[gpu1]:2200", "gpu1", 2200, True),
        ("[gpu1]:2200", "gpu1", 22, False),
        ("gpu1", "gpu1", 2200, True),
        ("*.lab.example,!bad.lab.example", "gpu1.lab.example", 22, True),
        ("*.lab.example,!bad.lab.example", "bad.lab.example", 22, False),
        (hashed("gpu1"), "gpu1", 22, True),
        (hashed("[gpu1]:2200"), "gpu1", 2200, True),
        (hashed("gpu1"), "gpu2", 22, False),
    ],
)
def test_names(file: Path, names: str, host: str, port: int, found: bool) -> None:
    file.write_text(f"# comment\n\n{names} {public(KEY)} somebody\n")
    known = KnownHosts().lookup((file,), host, port)
    assert [entry.key == KEY for entry in known.keys] == ([True] if found else [])
    if found:
        assert known.keys[0].where == f"{file}:3"


def test_markers(file: Path) -> None:
    lines = [f"@cert-authority *.lab {public(KEY)}", f"@revoked * {public(OTHER)}"]
    file.write_text("\n".join([*lines, f"gpu1.lab {public(OTHER)}"]))
    known = KnownHosts().lookup((file,), "gpu1.lab", 22)
    assert [entry.key for entry in known.authorities] == [KEY]
    assert [entry.key for entry in known.revoked] == [OTHER]
    assert [entry.key for entry in known.keys] == [OTHER]


def test_damaged_lines_hide_no_others(file: Path) -> None:
    file.write_bytes(
        b"gpu1\n|1|x|y z w\ngpu1 ssh-ed25519 !!!!\n\xff\xfe\n" + f"gpu1 {public(KEY)}\n".encode()
    )
    assert len(KnownHosts().lookup((file,), "gpu1", 22).keys) == 1


def test_files_add_up_and_are_read_again_when_they_change(file: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    known = KnownHosts()
    assert known.lookup((file, second), "gpu1", 22).keys == []
    file.write_text(f"gpu1 {public(KEY)}\n")
    second.write_text(f"gpu1 {public(OTHER)}\n")
    found = known.lookup((file, second), "gpu1", 22).keys
    assert [entry.key for entry in found] == [KEY, OTHER]
