"""What a node is like: its options, its folders, and the mounts that put them in place.

A node sees this machine's system, with its own machine-id, host name, boot, /run, /tmp, /var/tmp,
/dev/shm and homes. Only mounts of its own namespace do that: nothing here is changed.
"""

from __future__ import annotations

import os
import pwd
import shlex
import stat
import sysconfig
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.bench import accounts
from tests.bench.nvml.build import library_folder

Disk = Literal["normal", "readonly", "noexec", "full", "small"]
"""full: 64 KiB with no byte left. small: 16 MiB, to be filled on the way."""

BENCH = "/run/bench"  # the node's view of its own sshd files
NVML = "/run/fake-nvml"  # where the stand-in for NVML looks for the state file
PYTHON = "/run/python"
FILL = ".bench-fill"
_SIZES: Mapping[Disk, str] = {"full": "64k", "small": "16m"}
_PROGRAMS = (Path("/usr/bin"), Path("/usr/local/bin"))


@dataclass(frozen=True)
class NodeOptions:
    """How a node differs from a plain one. Paths are those of this machine."""

    user: str = "root"
    """Who logs in. Made if there is no such account."""
    accounts: tuple[str, ...] = ()
    """Who else can."""
    shell: str | None = None
    """Login shell of all of them, such as /usr/bin/fish."""
    homes: Path | None = None
    """A folder with a home for each account, which several nodes may share as they do NFS."""
    home_disk: Disk = "normal"
    tmp_disk: Disk = "normal"
    """Of /tmp and /var/tmp."""
    noise: str | None = None
    """What the accounts' shell rc files print."""
    banner: str | None = None
    """What sshd sends before the login."""
    python: str = "system"
    """``system``, ``missing``, or the prefix of the interpreter that is python3 there."""
    gpus: int = 0
    gpu_model: str = "h100"
    own_pids: bool = False
    """A process table of its own, whose process 1 is the node's."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that every login has."""
    binds: Mapping[Path, str] = field(default_factory=dict)
    """Further files or folders of this machine, and where the node has them."""
    max_startups: str | None = None
    max_sessions: int | None = None
    sshd_options: tuple[str, ...] = ()
    """Further lines of sshd_config."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """For the inventory."""

    @property
    def logins(self) -> list[pwd.struct_passwd]:
        return [accounts.ensure(name) for name in dict.fromkeys((self.user, *self.accounts))]


class Machine:
    """The folders of one node, and the script that mounts them."""

    def __init__(self, folder: Path, name: str, options: NodeOptions) -> None:
        self.folder = folder
        self.name = name
        self.options = options
        self.machine_id = uuid.uuid4().hex
        self.bench = folder / "bench"
        self.nvml = folder / "nvml"
        self.tmp = folder / "tmp"
        self.var_tmp = folder / "var-tmp"
        self.homes = options.homes or folder / "homes"
        for made in (self.bench, self.nvml, self.tmp, self.var_tmp, self.homes):
            made.mkdir(parents=True, exist_ok=True)
        for open_to_all in (self.tmp, self.var_tmp):
            open_to_all.chmod(0o1777)
        for account in options.logins:
            self._make_home(account)
        (folder / "machine-id").write_text(f"{self.machine_id}\n")
        self.new_boot_id()

    def new_boot_id(self) -> None:
        (self.folder / "boot-id").write_text(f"{uuid.uuid4()}\n")

    def home_folder(self, account: str) -> Path:
        return self.homes / account

    def script(self, leave: str) -> str:
        """What the node's anchor runs: the mounts, and ``leave`` for the end."""
        home_disk, tmp_disk = self.options.home_disk, self.options.tmp_disk
        lines = [f"leave() {{\n{leave}\n}}", f"hostname {shlex.quote(self.name)}"]
        lines += [
            _bind(self.folder / "machine-id", "/etc/machine-id"),
            _bind(self.folder / "boot-id", "/proc/sys/kernel/random/boot_id"),
            "mount -t tmpfs -o mode=755 bench-run /run",
            f"mkdir -p /run/sshd /run/lock {BENCH} {NVML} {PYTHON}",
            "chmod 1777 /run/lock",
            "mount -t tmpfs -o mode=1777 bench-shm /dev/shm",
            _bind(self.bench, BENCH),
        ]
        lines += self._layers()
        lines += self._shell()
        for source, target in self.options.binds.items():
            lines += self._extra(source, target)
        for account in self.options.logins:
            owner = f"uid={account.pw_uid},gid={account.pw_gid},mode=700"
            lines += _disk(self.home_folder(account.pw_name), account.pw_dir, home_disk, owner)
        # the last one: it hides the folder of this node
        lines += _disk(self.var_tmp, "/var/tmp", tmp_disk, "mode=1777")
        lines += _disk(self.tmp, "/tmp", tmp_disk, "mode=1777")
        return "\n".join(lines)

    def _make_home(self, account: pwd.struct_passwd) -> None:
        home = self.home_folder(account.pw_name)
        home.mkdir(parents=True, exist_ok=True)
        if self.options.noise is not None:
            line = f"echo {shlex.quote(self.options.noise)}\n"
            for rc in (".bashrc", ".bash_profile", ".cshrc", ".config/fish/config.fish"):
                (home / rc).parent.mkdir(parents=True, exist_ok=True)
                (home / rc).write_text(line)
        for path in (home, *home.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
        home.chmod(0o700)

    def _layers(self) -> list[str]:
        """What is laid over the system's folders: the fake driver, another Python or none."""
        lines = []
        libraries = []
        if self.options.gpus:
            lines.append(_bind(self.nvml, NVML))
            libraries.append(library_folder())
        if self.options.python != "system":
            for programs in _PROGRAMS:
                layer = self._layer(programs.parts[-2])
                self._replace_python(programs, layer)
                lines.append(_overlay([layer], programs))
        if self.options.python not in ("system", "missing"):
            lines.append(_bind(Path(self.options.python), PYTHON))
            layer = self._layer("lib")
            for library in Path(self.options.python, "lib").glob("libpython*.so*"):
                (layer / library.name).unlink(missing_ok=True)
                (layer / library.name).symlink_to(f"{PYTHON}/lib/{library.name}")
            libraries.append(layer)
        if libraries:
            lines.append(_overlay(libraries, _libraries()))
        return lines

    def _layer(self, name: str) -> Path:
        layer = self.folder / f"layer-{name}"
        layer.mkdir(exist_ok=True)
        return layer

    def _replace_python(self, programs: Path, layer: Path) -> None:
        for program in programs.glob("python*"):
            if not os.path.lexists(layer / program.name):
                os.mknod(layer / program.name, stat.S_IFCHR | 0o000)  # a whiteout, to overlayfs
        if self.options.python != "missing":
            wrapper = layer / "python3"
            wrapper.unlink(missing_ok=True)
            wrapper.write_text(f'#!/bin/sh\nexec {PYTHON}/bin/python3 "$@"\n')
            wrapper.chmod(0o755)

    def _shell(self) -> list[str]:
        if self.options.shell is None:
            return []
        names = {account.pw_name for account in self.options.logins}
        entries = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines()]
        for entry in entries:
            if entry[0] in names:
                entry[-1] = self.options.shell
        passwd = self.folder / "passwd"
        passwd.write_text("".join(":".join(entry) + "\n" for entry in entries))
        passwd.chmod(0o644)
        return [_bind(passwd, "/etc/passwd")]

    def _extra(self, source: Path, target: str) -> list[str]:
        if target.startswith("/tmp/"):  # it shows once the node's own /tmp is in place
            target = str(self.tmp / target.removeprefix("/tmp/"))
        place = shlex.quote(target)
        make = (
            f"mkdir -p {place}" if source.is_dir() else f"mkdir -p $(dirname {place}); : >> {place}"
        )
        return [make, _bind(source, target)]


def _bind(source: Path, target: str) -> str:
    return f"mount --rbind {shlex.quote(str(source))} {shlex.quote(target)}"


def _overlay(above: list[Path], folder: Path) -> str:
    layers = ":".join(map(str, [*above, folder]))
    return f"mount -t overlay -o lowerdir={layers} bench-overlay {folder}"


def _disk(source: Path, target: str, disk: Disk, tmpfs_options: str) -> list[str]:
    place = shlex.quote(target)
    if disk == "normal":
        return [_bind(source, target)]
    if disk in ("readonly", "noexec"):
        flag = "ro" if disk == "readonly" else "noexec"
        return [_bind(source, target), f"mount -o remount,bind,{flag} {place}"]
    size = f"size={_SIZES[disk]},{tmpfs_options}"
    # the content is copied through a descriptor: under /tmp, the source is hidden by the mount
    lines = [
        f"tar -C {shlex.quote(str(source))} -cf /run/content.tar .",
        f"mount -t tmpfs -o {size} bench-{disk} {place}",
        f"tar -C {place} -xf /run/content.tar",
        "rm /run/content.tar",
    ]
    return [*lines, fill(target)] if disk == "full" else lines


def fill(folder: str) -> str:
    """Shell that leaves no byte free; only for disks that are ``small`` or ``full``."""
    return f"head -c 64M /dev/zero > {shlex.quote(folder)}/{FILL} 2>/dev/null || true"


def _libraries() -> Path:
    """Where this system's loader looks without being told."""
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    folder = Path("/usr/lib") / triplet
    return folder if folder.is_dir() else Path("/usr/lib64")
