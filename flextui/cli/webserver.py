"""The terminal in a browser: textual-serve behind a door that only one browser goes through.

Whoever can open the page can do what this account can. So the link that opens it works once and
leaves a cookie; every other request, the websocket's too, has to bring that cookie, and has to
come from this very page (a page elsewhere that a browser has open could else talk to it).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAGE = Path(__file__).parent / "webpage"
"""In place of textual-serve's page, which asks a stranger for a font and has no keys before the
first click."""
REFUSED = (
    "This page is open to the browser alone that first opened the link that `flextui web` printed."
    "\nFor another one, end `flextui web` and start it again.\n"
)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach it. A name but `localhost` never counts."""
    if address.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


class Door:
    """Who may come in: a token that works once, then the cookie that it was changed for."""

    def __init__(self, port: int, *, anywhere: bool = False) -> None:
        """`anywhere`: the page may have other names than those of this machine to itself."""
        self.token = secrets.token_urlsafe(32)
        self.cookie = f"flextui-{port}"
        self._pass = secrets.token_urlsafe(32)
        self._anywhere = anywhere
        self._used = False

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request in, or not. Nothing that is let in is kept by the browser."""
        if not self._from_here(request):
            return _refusal()
        if self._takes(request.query.get("token", "")):
            answer: web.StreamResponse = web.Response(status=303, headers={"Location": "/"})
            answer.set_cookie(self.cookie, self._pass, httponly=True, samesite="Strict", path="/")
        elif self._knows(request):
            answer = await handler(request)
        else:
            return _refusal()
        if not answer.prepared:
            _guard(answer, request.host)
        return answer

    def _takes(self, token: str) -> bool:
        """The token, the first time that it comes."""
        right = hmac.compare_digest(token.encode(), self.token.encode())
        if not right or self._used:
            return False
        self._used = True
        return True

    def _knows(self, request: web.Request) -> bool:
        shown = request.cookies.get(self.cookie, "")
        return self._used and hmac.compare_digest(shown.encode(), self._pass.encode())

    def _from_here(self, request: web.Request) -> bool:
        """Asked for by a name of ours, and by no other page's doing."""
        name = urlsplit(f"//{request.host}").hostname or ""
        if not self._anywhere and not is_loopback(name):
            return False
        origin = request.headers.get("Origin")
        if origin is None:
            return request.headers.get("Upgrade", "").lower() != "websocket"
        return urlsplit(origin).netloc.lower() == request.host.lower()


def _refusal() -> web.Response:
    return web.Response(status=403, text=REFUSED, headers={"Cache-Control": "no-store"})


def _guard(answer: web.StreamResponse, host: str) -> None:
    """The page talks to us alone, isn't kept, and stands in no other page."""
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws://{host} "
        f"wss://{host}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


class WebTerminal(Server):  # type: ignore[misc, unused-ignore]
    """textual-serve behind a door. Each page is a process of its own."""

    def __init__(self, command: str, address: str, port: int, *, anywhere: bool) -> None:
        super().__init__(command, host=address, port=port, title="flextui", templates_path=PAGE)
        self.door = Door(port, anywhere=anywhere)

    @property
    def link(self) -> str:
        """What opens it, once."""
        return f"{self.public_url}/?token={self.door.token}"

    async def app(self) -> web.Application:
        """What is served, with the door before all of it."""
        app = await self._make_app()
        app.middlewares.append(self.door.watch)
        return app

    async def handle_index(self, request: web.Request) -> Any:
        """The page, with the addresses by which it was asked for: a tunnel has others."""
        self.public_url = f"{request.scheme}://{request.host}"
        return await super().handle_index(request)

    async def on_startup(self, app: web.Application) -> None:
        """Nothing to say: the command does."""


async def serve(server: WebTerminal, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal says otherwise. `ready` is called once it is."""
    runner = web.AppRunner(await server.app(), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    try:
        await web.SockSite(runner, listening).start()
        ready()
        await ended.wait()
    finally:
        await runner.cleanup()
