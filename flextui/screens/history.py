"""What nodes and their GPUs did in the last hour: asked of the core when one looks, then only what
came since."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from flextui.core.commands import History
from flextui.core.model.docs import HistoryDoc, PastDoc
from flextui.screens.fields.charts import merged
from flextui.screens.inquiry import Inquiry

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

ASK_S = 5.0
KEPT = 8
"""Nodes whose past stays here: those looked at last. One of 8 GPUs takes under a megabyte."""


class Pasts:
    """Of the nodes that were looked at, by name."""

    def __init__(self, app: FlextuiApp) -> None:
        self._known: dict[str, PastDoc] = {}
        self._asking = Inquiry(app, app)
        self._due: dict[str, float] = {}
        """Node → when to ask again (monotonic)."""

    def of(self, node: str) -> PastDoc | None:
        """What is known now; asks for more if it is time."""
        known = self._known.get(node)
        if time.monotonic() >= self._due.get(node, 0.0):
            asked = History(node, after=known["until"] if known else 0)
            self._asking.ask(node, asked, partial(self._take, node), every=ASK_S)
        return known

    def forget(self) -> None:
        """Another core may be asked from now on."""
        self._known.clear()
        self._due.clear()

    def _take(self, node: str, answer: dict[str, Any]) -> None:
        self._due[node] = time.monotonic() + ASK_S
        past = cast(HistoryDoc, answer).get("past")
        if past is not None:
            self._known[node] = merged(self._known.pop(node, None), past)
            for name in list(self._known)[:-KEPT]:
                del self._known[name]
