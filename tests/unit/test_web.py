"""flextui web: the link works once, for one browser, from this machine's own page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSServerHandshakeError
from aiohttp.test_utils import TestServer

from flextui.cli.webserver import WebTerminal, is_loopback

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0


@asynccontextmanager
async def served(*, anywhere: bool = False) -> AsyncIterator[tuple[WebTerminal, str]]:
    """The server, and where it is: http://127.0.0.1:PORT."""
    server = WebTerminal("true", "127.0.0.1", 8000, anywhere=anywhere)
    async with TestServer(await server.app()) as place:
        yield server, f"http://127.0.0.1:{place.port}"


def browser() -> aiohttp.ClientSession:
    """One that keeps cookies of addresses, as browsers do."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def test_the_link_opens_the_page_once_and_for_one_browser() -> None:
    async with served() as (server, url), browser() as mine, browser() as theirs:
        page = await mine.get(url, params={"token": server.door.token})
        assert page.status == 200
        assert "token" not in str(page.url), "it is gone from the address"
        assert "textual" in await page.text()
        cookie = page.history[0].cookies[server.door.cookie]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert (await mine.get(url)).status == 200, "the cookie goes on working"
        assert (await mine.get(f"{url}/static/js/textual.js")).status == 200
        again = await theirs.get(url, params={"token": server.door.token})
        assert again.status == 403, "the link works once"


async def test_the_page_is_all_its_own_and_has_the_keys_from_the_start() -> None:
    async with served() as (server, url), browser() as mine:
        page = await (await mine.get(url, params={"token": server.door.token})).text()
        asked = re.findall(r"""(?:href|src)="([^"]*)"|url\("([^"]*)"\)""", page)
        places = [one or other for one, other in asked]
        assert all(it.startswith((url + "/", "data:")) for it in places), places
        for place in places:
            assert place.startswith("data:") or (await mine.get(place)).status == 200, place
        assert "<title>flextui</title>" in page
        assert '.querySelector(".xterm-helper-textarea")' in page, "the terminal gets the focus"
        assert (
            ".xterm-helper-textarea" in await (await mine.get(f"{url}/static/css/xterm.css")).text()
        )


@pytest.mark.parametrize("path", ["/", "/static/js/textual.js", "/static/", "/download/x", "/ws"])
async def test_others_see_nothing(path: str) -> None:
    async with served() as (server, url), browser() as theirs:
        assert (await theirs.get(url + path)).status == 403
        wrong = {"token": server.door.token[:-1], server.door.cookie: "x"}
        assert (await theirs.get(url + path, params=wrong, cookies=wrong)).status == 403
        assert (await theirs.get(url + path, cookies={server.door.cookie: ""})).status == 403


async def test_no_other_page_and_no_other_name_comes_in() -> None:
    async with served() as (server, url), browser() as mine:
        await mine.get(url, params={"token": server.door.token})
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"},
                        {"Origin": "null"}, {"Host": "localhost.evil.example:8000"}):  # fmt: skip
            assert (await mine.get(url, headers=headers)).status == 403, headers
        for headers in ({}, {"Origin": "http://evil.example"}):
            with pytest.raises(WSServerHandshakeError) as refused:
                await mine.ws_connect(f"{url}/ws", headers=headers)
            assert refused.value.status == 403
        socket = await mine.ws_connect(f"{url}/ws", headers={"Origin": url})
        await socket.close()


async def test_a_page_fetches_nothing_from_elsewhere() -> None:
    async with served() as (server, url), browser() as mine:
        page = await mine.get(url, params={"token": server.door.token})
        allowed = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in allowed
        assert "frame-ancestors 'none'" in allowed
        assert "https:" not in allowed
        assert page.headers["Cache-Control"] == "no-store"


async def test_through_a_tunnel_the_page_knows_its_own_address() -> None:
    async with served() as (server, url), browser() as mine:
        await mine.get(url, params={"token": server.door.token})
        page = await mine.get(url, headers={"Host": "localhost:9123"})
        assert "ws://localhost:9123/ws" in await page.text()


@pytest.mark.parametrize(
    ("address", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.0.0.5", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.org", False), ("", False)],
)  # fmt: skip
def test_which_addresses_are_this_machines_alone(address: str, own: bool) -> None:
    assert is_loopback(address) is own


# ── the command ────────────────────────────────────────────────────────────────────────────────


def environment(home: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FLEXTUI")}
    return {**clean, "HOME": str(home), "PYTHONPATH": str(ROOT)}


@contextmanager
def running(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "flextui", "web", "--port", "0", *words], text=True, cwd=home,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(home),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def test_another_address_has_to_be_meant(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flextui", "web", "--bind", "0.0.0.0"], text=True, cwd=tmp_path,
        capture_output=True, env=environment(tmp_path), timeout=WITHIN_S,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--i-know" in done.stderr


async def test_the_terminal_is_drawn_in_a_browser(tmp_path: Path) -> None:
    with running(tmp_path, "--demo") as process:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", link)
        url = link.partition("/?")[0]
        async with browser() as mine:
            assert (await mine.get(link)).status == 200
            socket = await mine.ws_connect(f"{url}/ws?width=100&height=30", headers={"Origin": url})
            drawn = b""
            while b"SIMULATED" not in drawn or b"h100-1" not in drawn:
                message = await socket.receive(timeout=WITHIN_S)
                assert message.type is aiohttp.WSMsgType.BINARY, message
                drawn += message.data
            await socket.close()
