"""The Unix socket of a core: who may open it, and one connection for each who does."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from flextui.core import wire
from flextui.core.client import Client
from flextui.core.connection import Connection
from flextui.core.identity import identity_of, peer_uid
from flextui.core.model.state import Identity

MAX_CLIENTS = 512
PROBE_S = 1.0


class SocketError(Exception):
    """The socket can't be made; the text says why and what to do."""


class Server:
    """Listens between `start` and `close`. `group`: members of it may connect, else only we."""

    def __init__(
        self,
        path: Path,
        group: str | None,
        client_for: Callable[[Identity], Client],
        digest: str,
    ) -> None:
        self.path = path
        self._group = group
        self._client_for = client_for
        self._digest = digest
        self._server: asyncio.AbstractServer | None = None
        self._inode = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._tasks)

    async def start(self) -> None:
        """Raises `SocketError`."""
        try:
            self._make_folder()
            await self._clear_away()
            listener = self._bind()
            self._server = await asyncio.start_unix_server(
                self._accept, sock=listener, limit=wire.MAX_REQUEST
            )
        except (OSError, KeyError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise SocketError(f"no socket at {self.path}: {why}") from error

    async def close(self) -> None:
        """Stop listening and drop everybody."""
        if self._server is None:
            return
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._server = None
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:  # else another core has it by now
                self.path.unlink()

    # ── the path ───────────────────────────────────────────────────────────────────────────────

    def _make_folder(self) -> None:
        folder = self.path.parent
        made = not folder.exists()
        gid = self._gid() if self._group is not None else -1  # before anything is made
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._group is None:
            return
        if made:
            os.chown(folder, -1, gid)
            folder.chmod(0o750)
        elif not folder.stat().st_mode & 0o011:
            mend = f"`chgrp {self._group} {folder} && chmod 750 {folder}`"
            raise SocketError(f"{folder} is closed to the group {self._group}: {mend}")

    def _gid(self) -> int:
        assert self._group is not None
        try:
            return grp.getgrnam(self._group).gr_gid
        except KeyError:
            raise SocketError(f"there is no group {self._group}: see getent group") from None

    async def _clear_away(self) -> None:
        """Remove a dead core's socket; a live one's, or anything else, stays."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(status.st_mode):
            raise SocketError(f"{self.path} exists and is no socket: use another --socket")
        try:
            async with asyncio.timeout(PROBE_S):
                _, writer = await asyncio.open_unix_connection(str(self.path))
            writer.close()
        except (ConnectionError, TimeoutError):
            self.path.unlink()
            return
        raise SocketError(f"another core listens at {self.path}: use another --socket")

    def _bind(self) -> socket.socket:
        """Bound under another name and renamed, so that it is never open to more than it should."""
        fresh = self.path.with_name(f".{os.getpid()}.new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            before = os.umask(0o177)
            try:
                listener.bind(str(fresh))
            finally:
                os.umask(before)
            if self._group is not None:
                os.chown(fresh, -1, self._gid())
                fresh.chmod(0o660)
            listener.listen(128)
            self._inode = fresh.stat().st_ino
            fresh.rename(self.path)
        except BaseException:
            listener.close()
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        return listener

    # ── connections ────────────────────────────────────────────────────────────────────────────

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= MAX_CLIENTS:
            writer.write(wire.encode({"t": "refused", "text": "too many clients are connected"}))
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            who = await asyncio.to_thread(identity_of, peer_uid(writer.get_extra_info("socket")))
            await Connection(reader, writer, lambda: self._client_for(who), self._digest).serve()
        except OSError:
            writer.close()
        except asyncio.CancelledError:
            writer.close()  # `close` ended it; Python 3.11 logs a cancelled one as a failure
        finally:
            self._tasks.discard(task)
