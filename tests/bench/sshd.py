"""The real sshd of one node, and what can happen to it."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.bench.machine import BENCH, NodeOptions
from tests.bench.namespace import ENVIRONMENT, Namespace, NodeProcess

_PROGRAM = "/usr/sbin/sshd"
_READY_WITHIN = 20.0


def make_key(path: Path) -> Path:
    """An ed25519 key without passphrase at that path, its public half beside it."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return path


def install(folder: Path, address: str, port: int, options: NodeOptions) -> None:
    """Write what sshd reads, but for keys, into a folder that the node has as BENCH."""
    lines = [
        f"ListenAddress {address}:{port}",
        f"HostKey {BENCH}/host_key",
        f"AuthorizedKeysFile {BENCH}/authorized_keys",
        f"PidFile {BENCH}/sshd.pid",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "StrictModes no",
        "UsePAM no",
        "UseDNS no",
        "PrintMotd no",
        "PrintLastLog no",
        "LogLevel VERBOSE",
        "Subsystem sftp internal-sftp",
    ]
    if options.max_startups is not None:
        lines.append(f"MaxStartups {options.max_startups}")
    if options.max_sessions is not None:
        lines.append(f"MaxSessions {options.max_sessions}")
    if options.banner is not None:
        (folder / "banner").write_text(options.banner)
        lines.append(f"Banner {BENCH}/banner")
    if options.env:
        # one line: sshd takes the first SetEnv only
        pairs = " ".join(f'"{key}={value}"' for key, value in options.env.items())
        lines.append(f"SetEnv {pairs}")
    lines += options.sshd_options
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")


class Sshd:
    """The listener and the sessions that it forked, in one node's namespaces."""

    def __init__(self, namespace: Namespace, folder: Path, address: str, port: int) -> None:
        self._namespace = namespace
        self._folder = folder
        self._at = (address, port)
        self._starting: subprocess.Popen[str] | None = None

    @property
    def log(self) -> str:
        path = self._folder / "sshd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start the listener and return when it takes connections."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start the listener; ``wait`` returns when it takes connections."""
        (self._folder / "sshd.pid").unlink(missing_ok=True)
        command = [_PROGRAM, "-f", f"{BENCH}/sshd_config", "-E", f"{BENCH}/sshd.log"]
        self._starting = subprocess.Popen(
            self._namespace.entering(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(ENVIRONMENT),
            text=True,
        )

    def wait(self) -> None:
        assert self._starting is not None, "begin() comes first"
        _, complaint = self._starting.communicate()
        if self._starting.returncode != 0:
            raise RuntimeError(f"sshd didn't start: {complaint.strip()}\n{self.log}")
        deadline = time.monotonic() + _READY_WITHIN
        while not self._greets():
            if time.monotonic() > deadline:
                raise RuntimeError(f"sshd at {self._at} takes no connection:\n{self.log}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the listener: new connections are refused, sessions go on."""
        listener = self.listener()
        if listener is None:
            return
        listener.signal(signal.SIGTERM)
        deadline = time.monotonic() + _READY_WITHIN
        while self.listener() is not None:
            if time.monotonic() > deadline:
                raise RuntimeError("sshd doesn't end")
            time.sleep(0.01)

    def listener(self) -> NodeProcess | None:
        try:
            pid = int((self._folder / "sshd.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return next((process for process in self._all() if process.node_pid == pid), None)

    def sessions(self) -> list[NodeProcess]:
        """The processes of sshd that serve a connection, privileged ones and their children."""
        listener = self.listener()
        return [process for process in self._all() if process != listener]

    def kill_sessions(self) -> int:
        """End every session by SIGKILL, as a crash would; how many processes that were."""
        sessions = self.sessions()
        for process in sessions:
            process.signal(signal.SIGKILL)
        killed = {(process.pid, process.started) for process in sessions}
        while killed & {(process.pid, process.started) for process in self._all()}:
            time.sleep(0.01)
        return len(sessions)

    def freeze(self) -> None:
        """Stop listener and sessions: connections stay open and nothing answers."""
        while any(process.state not in "Tt" for process in self._all()):
            for process in self._all():
                process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        for process in self._all():
            process.signal(signal.SIGCONT)

    def _all(self) -> list[NodeProcess]:
        return [process for process in self._namespace.processes() if process.name == "sshd"]

    def _greets(self) -> bool:
        try:
            with socket.create_connection(self._at, timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False
