"""A real agent process on two pipes, driven line by line: what the core sees of a node."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
OLDEST = "/root/.pyenv/versions/3.8.18/bin/python"
DEADLINE_S = 60.0

Message = dict[str, Any]


def python() -> str:
    """The oldest Python that the agent promises to run on, where this machine has it."""
    return OLDEST if os.path.exists(OLDEST) else sys.executable


class Agent:
    """One agent and its channel. Pushes are kept in `seen` in the order of their arrival."""

    def __init__(self, state: Path, core_id: str = "core1", env: dict[str, str] | None = None):
        self.core_id = core_of(state, core_id)
        self.epoch = 1
        self.seen: list[Message] = []
        self.welcome: Message = {}
        self._told = 0
        self._ids = itertools.count(1)
        self._buffer = b""
        self.root = make_root(state)
        self.process = subprocess.Popen(
            [python(), "-I", "-S", "-c", _MAIN % str(REPO)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )

    def hello(self, **changes: Any) -> Message:
        """Greet; returns the answer, be it `hello` or `refused`."""
        message = {
            "t": "hello", "v": [1, 1], "core_id": self.core_id, "epoch": self.epoch,
            "owner": "tester@bench", "node": "n1", "takeover": False, "adopt": [],
            "core_boot": None, "root": self.root, "sample_s": 60.0, "log_keep_s": 3600,
            **changes,
        }  # fmt: skip
        self.epoch = message["epoch"]
        self.send(message)
        self.welcome = self.wait(lambda m: m["t"] in ("hello", "refused"))
        return self.welcome

    def send(self, message: Message) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, kind: str, **fields: Any) -> Message:
        """Send a request and wait for its answer."""
        ident = next(self._ids)
        self.send({"t": kind, "id": ident, **fields})
        return self.wait(lambda m: m.get("id") == ident)

    def start(self, attempt: str, command: str | list[str], **fields: Any) -> Message:
        """Start an attempt with defaults; a string runs in sh."""
        return self.ask("start", **self.start_fields(attempt, command, **fields))

    def start_fields(self, attempt: str, command: str | list[str], **fields: Any) -> Message:
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        return {
            "attempt": attempt, "boot": self.welcome["boot"], "epoch": self.epoch,
            "job": "tester/job", "task": 0, "argv": argv, "env": {}, "workdir": "/",
            "time_limit_s": None, "grace_s": 5, "memory_bytes": None, "log_bytes": 1 << 20,
            "lease_s": None, "devices": [], "labels": {}, **fields,
        }  # fmt: skip

    def end_of(self, attempt: str) -> Message:
        """The record of an attempt once it is over."""
        over = ("ended", "lost")
        for record in self.welcome.get("attempts", []):
            if record["attempt"] == attempt and record["state"] in over:
                return record
        found = self.wait(
            lambda m: (
                m["t"] in ("attempt", "ok")
                and _record(m).get("attempt") == attempt
                and _record(m)["state"] in over
            )
        )
        return _record(found)

    def wait(self, wanted: Callable[[Message], bool], deadline_s: float = DEADLINE_S) -> Message:
        """The first message, seen already or still to come, that is wanted."""
        deadline = time.monotonic() + deadline_s
        looked = 0
        while True:
            for message in self.seen[looked:]:
                if wanted(message):
                    return message
            looked = len(self.seen)
            if not self._receive(deadline):
                raise AssertionError(f"no such message; the last ones: {self.seen[-5:]}")

    def messages(self, deadline_s: float = DEADLINE_S) -> Iterator[Message]:
        """Each message once, until the channel ends or the deadline passes."""
        deadline = time.monotonic() + deadline_s
        while True:
            while self._told < len(self.seen):
                self._told += 1
                yield self.seen[self._told - 1]
            if not self._receive(deadline):
                return

    def _receive(self, deadline: float) -> bool:
        """Read what came into `seen`; False at the end of the channel or the deadline."""
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        data = os.read(fd, 1 << 20)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self.seen += [json.loads(line) for line in lines]
        return bool(data)

    def log(self, attempt: str, stream: str = "out", **fields: Any) -> tuple[bytes, list[Message]]:
        """Everything that a tail without `follow` sends: the bytes, and all its messages."""
        sub = f"sub{next(self._ids)}"
        fields = {"from": {stream: 0}, "follow": False, "credit": 1 << 30, **fields}
        answer = self.ask("tail", sub=sub, attempt=attempt, streams=[stream], **fields)
        assert answer["t"] == "ok", answer
        self.wait(lambda m: m["t"] == "eof" and m["sub"] == sub)
        mine = [message for message in self.seen if message.get("sub") == sub]
        return b"".join(log_bytes(message) for message in mine), mine

    def kill(self) -> None:
        """End the agent without a chance to react."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """Close the channel; the agent ends by itself."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self.process.wait(DEADLINE_S)

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
        self.close()


def _record(message: Message) -> Message:
    """The record that a push is or an answer carries."""
    found: Message = message if message["t"] == "attempt" else message.get("record", {})
    return found


def core_of(state: Path, core_id: str = "core1") -> str:
    """A core's id that no other test uses: the marks of processes carry it."""
    return f"{core_id}-{zlib.crc32(str(state).encode()):08x}"


def make_root(state: Path) -> dict[str, str]:
    """A state folder that is chosen already, as the core would tell it."""
    path = state / "root"
    if not path.exists():
        path.mkdir(mode=0o700)
        (path / "root.json").write_text(json.dumps({"root_id": "bench", "format": 1}))
    return {"path": str(path), "id": "bench"}


def log_bytes(message: Message) -> bytes:
    """The bytes that a log message carries."""
    import base64

    if message["t"] != "log":
        return b""
    return base64.b64decode(message["b64"]) if "b64" in message else message["text"].encode()


_MAIN = "import sys; sys.path.insert(0, %r); from flextui.agent.__main__ import main; main()"
