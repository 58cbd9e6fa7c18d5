"""Two hundred boxes that don't exist: agents that only speak the wire, in a process of their own.

They boot, greet, sample once a second (eight GPUs each, values that change, a process on each GPU
that is in use), start what they are told to start and run it until they are told to stop. What the
core does with them is all its own: sessions, channels, decoding, engine, scheduler, store. Only SSH
is left out, a Unix socket stands for it.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from flextui.core.adapters.bootstrap import MARKER
from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.fleet import Fleet
from flextui.core.adapters.pacer import Turn
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.transport import Finding, Transport
from flextui.core.model.inventory import NodeSpec

GPUS = 8
GIB = 1 << 30
SAMPLE_S = 1.0

Message = dict[str, Any]


# ---- the agents' side ----


def serve(path: str) -> None:
    """Be every agent that connects to this socket, until the process is ended."""
    asyncio.run(_serve(path))


async def _serve(path: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Agent, path)
    await server.serve_forever()


class Agent(asyncio.Protocol):
    """One node: its loader first, then the agent."""

    def __init__(self) -> None:
        self._buffer = b""
        self._seq = 0
        self._attempts: dict[str, Message] = {}
        self._handle: Callable[[bytes], None] = self._boot
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._handle(line)

    def _send(self, message: Message) -> None:
        self._transport.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def _boot(self, loader: bytes) -> None:
        answer = {"have": True, "python": "3.8.18", "cache": "/cache", "text": ""}
        self._transport.write(MARKER.encode() + json.dumps(answer).encode() + b"\n")
        self._handle = self._hello

    def _hello(self, line: bytes) -> None:
        name = json.loads(line)["node"]
        self._uuids = [f"GPU-{name}-{index}" for index in range(GPUS)]
        host = {
            "hostname": name, "user": "lab", "uid": 1000, "cpus": 128, "memory_bytes": 1024 * GIB,
            "python": "3.8.18", "kernel": "6.1", "os": "Linux", "cgroup": "scope", "linger": True,
            "kill_user_processes": False, "driver_version": "570.124.06", "gpus": [],
        }  # fmt: skip
        self._send({
            "t": "hello", "v": 1, "agent": "stub", "host_id": f"{name}-1000", "boot": f"b-{name}",
            "granted": True, "driver": None, "root": {"path": "/state", "id": name, "state": "new"},
            "host": host, "attempts": [],
        })  # fmt: skip
        self._handle = self._message
        # not all at the same instant: two hundred clocks have nothing in common
        self._arm(random.uniform(0, SAMPLE_S))

    def _message(self, line: bytes) -> None:
        message = json.loads(line)
        answer: Message = {"t": "ok", "id": message.get("id")}
        match message["t"]:
            case "start":
                record = {
                    "attempt": message["attempt"], "job": message["job"], "task": message["task"],
                    "state": "running", "pid": 4242, "started_ago_s": 0.0, "exit": None,
                    "devices": [device["uuid"] for device in message["devices"]],
                    "log": {"out": 0, "err": 0}, "limit": "scope",
                }  # fmt: skip
                self._attempts[message["attempt"]] = record
                self._send({**answer, "record": record})
            case "stop":
                self._send(answer)
                self._end(message["attempt"])
            case "ping":
                self._send(answer)

    def _end(self, attempt: str) -> None:
        record = self._attempts.pop(attempt, None)
        if record is not None:
            ending = {"code": None, "signal": 15, "why": "stopped", "text": "", "ran_s": 1.0}
            self._send({"t": "attempt", **record, "state": "ended", "exit": ending})

    # telemetry

    def _arm(self, delay: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._arm(SAMPLE_S)
        self._seq += 1
        users = {uuid: it for it in self._attempts.values() for uuid in it["devices"]}
        gpus = [self._gpu(index, uuid, users.get(uuid)) for index, uuid in enumerate(self._uuids)]
        self._send({
            "t": "sample", "seq": self._seq, "cpu": round(random.random(), 4),
            "load": [round(random.uniform(0, 64), 2), 21.5, 20.25],
            "memory_bytes": 1024 * GIB, "memory_used_bytes": random.randrange(1024 * GIB),
            "disk_bytes": 4096 * GIB, "disk_free_bytes": random.randrange(4096 * GIB),
            "uptime_s": 90_000.0 + self._seq, "nvml": "ok", "driver_version": "570.124.06",
            "cuda_version": "12.8",
            "gpus": gpus,
            "attempts": {
                name: {"cpu": round(random.uniform(0, 8), 2), "memory_bytes": random.randrange(GIB)}
                for name in self._attempts
            },
        })  # fmt: skip

    def _gpu(self, index: int, uuid: str, user: Message | None) -> Message:
        held = random.randrange(60 * GIB, 80 * GIB) if user else 0
        process = {
            "pid": 4243 + index, "user": "lab", "name": "python", "memory_bytes": held,
            "command": "python train.py --data /data/imagenet --epochs 90 --lr 0.1",
            "attempt": user["attempt"] if user else None, "container": None,
        }  # fmt: skip
        return {
            "uuid": uuid, "index": index, "model": "NVIDIA H100 80GB HBM3",
            "memory_bytes": 80 * GIB, "numa": index // 4, "memory_used_bytes": held,
            "utilization": random.randrange(101) if user else 0,
            "temperature_c": random.randrange(34, 80), "power_w": round(random.uniform(70, 700), 1),
            "power_limit_w": 700.0, "ecc_uncorrected": 0, "recovery_action": 0, "mig": None,
            "state": "ok", "text": "", "processes": [process] if user else [],
        }  # fmt: skip


# ---- the core's side ----


class StubFleet(Fleet):
    """The core's own session factory; its nodes are behind one socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)

    def _transport(self, node: NodeSpec) -> Transport:
        return SocketTransport(self._path)


class SocketTransport:
    """Opens a stream to an agent of `serve`."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def open(self, turn: Turn) -> ByteStream:
        await turn.take()
        stream = ByteStream()
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(lambda: _Feed(stream), self._path)
        except OSError as error:
            raise LinkFailure("connect", str(error)) from error
        return stream

    def findings(self) -> list[Finding]:
        return []

    def core_boot(self) -> Message | None:
        return None

    async def close(self) -> None:
        return None


class _Feed(asyncio.Protocol):
    """Feeds a stream from a socket."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._stream.attach(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self._stream.feed(data)

    def eof_received(self) -> None:
        self._stream.feed_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream.lost(exc)

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()
