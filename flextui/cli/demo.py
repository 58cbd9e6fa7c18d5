"""flextui --demo: the terminal over a simulated fleet, which leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flextui.cli.ahead import look_ahead
from flextui.core.client import Client

if TYPE_CHECKING:
    from flextui.app import Foresee
    from flextui.core.demo.opened import Demo


class DemoLink:
    """The way to a simulated fleet's core, which lives in this process and ends with it."""

    holds_core = False
    """Nothing that runs there outlives it: leaving asks nothing."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self._client: Client | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Options that lead a command line to it for as long as it is open."""
        return ("-i", str(self.demo.inventory), "--state-dir", str(self.demo.state_dir))

    async def setup(self) -> None:
        """There is nothing to set up."""

    async def open(self, foresee: Foresee) -> Client:
        if self._client is None:
            try:
                self.demo.prepare()
            except OSError as error:
                from flextui.app import LinkRefused

                raise LinkRefused(f"no folder for the demo: {error.strerror}") from error
            await look_ahead(self.demo.inventory, self.demo.state_dir, foresee, simulated=True)
            self._client = (await self.demo.open()).client()
        return self._client

    async def close(self, *, hand_over: bool) -> None:
        await self.demo.close()
