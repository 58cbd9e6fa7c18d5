"""Opens the terminal, over the core that runs here already or over one that it holds itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flextui.cli import output
from flextui.cli.connect import inventory_in_use, open_client, running_core
from flextui.cli.output import Failure
from flextui.cli.verb import Need, Options
from flextui.core.adapters import paths
from flextui.core.client import Client
from flextui.core.later import imported
from flextui.core.refusal import CommandError
from flextui.screens.config import config_path, read_config
from flextui.screens.opening import Flags, look
from flextui.screens.probe import Probe

TICKS = "240"

if TYPE_CHECKING:
    from flextui.app import FlextuiApp, Foresee, Link
    from flextui.core.model.problems import BadInput
    from flextui.core.start import Core
    from flextui.screens.config import Known
    from flextui.screens.look import Look
    from flextui.screens.pace import Pace
    from flextui.screens.setup import Setup


def open_terminal(options: Options, flags: Flags) -> int:
    """Run the terminal to its end; the exit status."""
    link = TerminalLink(options)
    app = _app(link, flags, drafts=paths.state_folder(options.state_dir) / "drafts")
    asyncio.run(_run(app, link))
    if link.bad_inventory is not None:
        raise link.bad_inventory
    if isinstance(link.refused, Failure):
        raise link.refused
    if app.refusal:
        raise Failure(output.FAILED, app.refusal)
    return output.DONE


def open_demo(flags: Flags, seed: int) -> int:
    """Run the terminal over a simulated fleet to its end; the exit status."""
    from flextui.cli.demo import DemoLink
    from flextui.core.demo.opened import Demo

    async def run() -> None:
        demo = Demo(seed)
        link = DemoLink(demo)
        app = _app(link, flags, demo)
        try:
            await _shown(app)
        finally:
            await link.close(hand_over=False)
        if app.refusal:
            raise Failure(output.FAILED, app.refusal)

    asyncio.run(run())
    return output.DONE


def _app(
    link: Link, flags: Flags, pace: Pace | None = None, drafts: Path | None = None
) -> FlextuiApp:
    """The app as it is to look. The terminal is asked while the slow imports run."""
    with Probe.of(sys.stdin, sys.stdout) as probe, _answering_soon(os.environ):
        from flextui.app import FlextuiApp
        from flextui.screens import early
    encoding = sys.stdout.encoding or "ascii"
    path, said = config_path(), probe.said

    def looks(known: Known) -> Look:
        config, problems = read_config(path, known)
        return look(config, problems, flags, os.environ, encoding, said)

    def whole() -> Look:
        from flextui.screens import places

        return looks(places.known())

    first = replace(looks(early.known()), problems=(), whole=whole if path.exists() else None)
    app = FlextuiApp(link, replace(first, drafts=drafts), pace)
    app.heard = probe.heard
    return app


@contextmanager
def _answering_soon(environ: MutableMapping[str, str]) -> Iterator[None]:
    """Textual paints at the next tick of a clock, and reads how often that ticks when it is
    imported. At its usual 60 Hz a key waits for half a tick or more longer than it has to."""
    before = environ.get("TEXTUAL_FPS")
    environ["TEXTUAL_FPS"] = before or TICKS
    try:
        yield
    finally:
        if before is None:
            del environ["TEXTUAL_FPS"]  # it isn't meant for programs that are started from here


async def _shown(app: FlextuiApp) -> None:
    """The terminal from its first paint to its end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGHUP, signal.SIGTERM):
        loop.add_signal_handler(number, app.leave_at_once)
    await app.run_async(mouse=app.look.mouse)


async def _run(app: FlextuiApp, link: TerminalLink) -> None:
    link.told_to_end = app.exit
    await _shown(app)
    if link.told:  # whoever holds the core closes it
        output.say("flextui: the core that this terminal held was told to end; jobs go on running")
    # A page that was closed asked nobody what becomes of the core; leaving by key has closed it.
    await link.close(hand_over=output.is_served() and link.busy)


CORE_PARTS = (
    "flextui.core.model.boxes",
    "flextui.core.model.inventory",
    "flextui.core.adapters.store",
    "flextui.core.engine",
)
"""What takes longest of importing a core."""


class TerminalLink:
    """Attaches to a running core, else holds one; hands it over to a twin on request."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._core: Core | None = None
        self._client: Client | None = None
        self.refused: Failure | None = None
        self.bad_inventory: BadInput | None = None
        """What is wrong with the inventory; the terminal ends with it."""
        self.told_to_end: Callable[[], None] = lambda: None
        """Called when somebody tells the core that is held here to end."""
        self._watching: asyncio.Task[None] | None = None

    @property
    def holds_core(self) -> bool:
        return self._core is not None

    @property
    def busy(self) -> bool:
        """Whether a core is held here that has something to look after."""
        return self._core is not None and self._core.busy

    @property
    def words(self) -> tuple[str, ...]:
        """Options that lead a command line to the same core."""
        it = self._options
        said = (("-i", it.inventory), ("--state-dir", it.state_dir), ("--connect", it.connect),
                ("--socket", it.socket))  # fmt: skip
        return tuple(word for option, value in said if value for word in (option, value))

    @property
    def told(self) -> bool:
        """Whether the core that is held here was told to end."""
        return self._core is not None and self._core.ended.is_set()

    async def setup(self) -> Setup | None:
        """The first run, where there is neither an inventory nor anything done without one."""
        try:
            if self._options != Options() or inventory_in_use(self._options) is not None:
                return None
        except Failure:
            return None  # `open` tells it
        folder = paths.state_folder()
        if not paths.is_new(folder) or paths.is_locked(folder):
            return None
        await imported("flextui.cli.firstrun", *CORE_PARTS[:2])
        from flextui.cli.firstrun import LocalSetup

        return LocalSetup(folder)

    async def open(self, foresee: Foresee) -> Client:
        """A client. Raises ConnectionError (worth another try) and LinkRefused (not)."""
        try:
            self._client = await self._open(foresee)
        except (Failure, CommandError) as error:
            raise self._refusal(error) from error
        return self._client

    async def _open(self, foresee: Foresee) -> Client:
        if self._core is not None:
            return self._core.client()
        if self._options.connect or self._options.socket:
            return await open_client(self._options, Need.CORE)
        inventory = inventory_in_use(self._options)
        running = await running_core(self._options, inventory)
        if running is not None:
            return running
        folder = paths.state_folder(self._options.state_dir)
        if not paths.is_locked(folder):  # else nobody connects to the nodes from here
            from flextui.cli.ahead import look_ahead

            await look_ahead(inventory, folder, foresee)
        return await self._hold(inventory)

    async def _hold(self, inventory: Path | None) -> Client:
        await imported("flextui.core.start", *CORE_PARTS)
        from flextui.core.model.problems import BadInput
        from flextui.core.ports import StoreError
        from flextui.core.start import CoreOptions, StartError, open_core

        folder = paths.state_folder(self._options.state_dir)
        try:
            self._core = await open_core(CoreOptions(folder, inventory))
        except paths.Locked as error:
            raise ConnectionError(str(error)) from error
        except BadInput as error:
            self.bad_inventory = error
            raise Failure(output.INPUT, str(error)) from error
        except (StartError, StoreError, paths.PathError) as error:
            raise Failure(output.INPUT, str(error)) from error
        self._watching = asyncio.create_task(self._watch(self._core))
        return self._core.client()

    async def _watch(self, core: Core) -> None:
        await core.ended.wait()
        self.told_to_end()

    def _refusal(self, error: Failure | CommandError) -> Exception:
        from flextui.app import LinkRefused

        if isinstance(error, Failure):
            if error.status == output.UNREACHABLE:
                return ConnectionError(error.text)
            self.refused = error
        return LinkRefused(str(error))

    async def close(self, *, hand_over: bool) -> None:
        """End the client, and the core if it is held here; workloads keep running."""
        if self._client is not None:
            await self._client.close()
        if self._watching is not None:
            self._watching.cancel()
        if self._core is None:
            return
        await self._core.close(hand_over=hand_over)
        self._core = None
        if hand_over:
            from flextui.cli.launch import start_twin

            folder = paths.state_folder(self._options.state_dir)
            await start_twin(folder, inventory_in_use(self._options))
