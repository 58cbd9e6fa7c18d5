"""Makes the guide's picture of the terminal in a browser: `flextui web --demo`, opened by a
Chromium without a window. Needs `chromium` and what `flextui web` needs.

    python docs/pictures/web.py [--out docs/pictures]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

REPO = Path(__file__).resolve().parents[2]
SIZE = "1100,620"
SETTLED_S = 25.0
"""A demo's morning, at ten times the speed of time, until its GPUs are in use."""
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-sync", "--disable-quic",
)  # fmt: skip


async def picture(link: str, port: int) -> bytes:
    """The page as it looks after a while, as PNG; said in Chromium's own protocol."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            [page] = [it for it in await answer.json() if it["type"] == "page"]
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:

            async def ask(method: str, **params: Any) -> dict[str, Any]:
                await socket.send_json({"id": 1, "method": method, "params": params})
                while "id" not in (said := await socket.receive_json()):
                    pass
                return dict(said["result"])

            await ask("Page.navigate", url=link)
            await asyncio.sleep(SETTLED_S)
            return base64.b64decode((await ask("Page.captureScreenshot"))["data"])


def shot(link: str, folder: Path) -> bytes:
    """Opens the link in a browser of its own."""
    argv = ["chromium", *QUIET, f"--user-data-dir={folder}", f"--window-size={SIZE}",
            "--remote-debugging-port=0", "about:blank"]  # fmt: skip
    browser = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    told = folder / "DevToolsActivePort"
    try:
        while not told.exists() or not told.read_text():
            time.sleep(0.1)
        return asyncio.run(picture(link, int(told.read_text().split()[0])))
    finally:
        browser.terminate()
        browser.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "pictures")
    out = parser.parse_args().out.resolve() / "web.png"
    with tempfile.TemporaryDirectory(prefix="fx-", ignore_cleanup_errors=True) as folder:
        env = {**os.environ, "HOME": folder, "PYTHONPATH": str(REPO)}
        served = subprocess.Popen(
            [sys.executable, "-m", "flextui", "web", "--demo", "--port", "0"],
            env=env, stdout=subprocess.PIPE, text=True, cwd=folder,
        )  # fmt: skip
        try:
            assert served.stdout is not None
            link = served.stdout.readline().strip()
            out.write_bytes(shot(link, Path(folder) / "browser"))
        finally:
            served.terminate()
            served.wait()


if __name__ == "__main__":
    main()
