"""What nodes and their GPUs did in the last hour: asked of the core when one looks, then only what
came since."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from flextui.core.commands import CommandError, History
from flextui.core.model.docs import HistoryDoc, PastDoc
from flextui.screens.fields.charts import merged

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

ASK_S = 5.0
KEPT = 8
"""Nodes whose past stays here: those looked at last. One of 8 GPUs takes under a megabyte."""


class Pasts:
    """Of the nodes that were looked at, by name."""

    def __init__(self, app: FlextuiApp) -> None:
        self._app = app
        self._known: dict[str, PastDoc] = {}
        self._asked: dict[str, float] = {}

    def of(self, node: str) -> PastDoc | None:
        """What is known now; asks for more if it is time, and draws when that comes."""
        if time.monotonic() - self._asked.get(node, -ASK_S) >= ASK_S:
            self._asked[node] = time.monotonic()
            self._app.run_worker(self._ask(node), group=f"past {node}", exclusive=True)
        return self._known.get(node)

    def forget(self) -> None:
        """Another core may be asked from now on."""
        self._known.clear()
        self._asked.clear()

    async def _ask(self, node: str) -> None:
        client, known = self._app.client, self._known.get(node)
        if client is None:
            return
        try:
            answer = await client.call(History(node, after=known["until"] if known else 0))
        except (CommandError, ConnectionError):
            return
        past = cast(HistoryDoc, answer).get("past")
        if past is not None:
            self._known.pop(node, None)
            self._known[node] = merged(known, past)
            for name in list(self._known)[:-KEPT]:
                del self._known[name], self._asked[name]
            self._app.changed()
