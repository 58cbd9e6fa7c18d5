"""Logs of one job, live: all its tasks merged, at the tail at once."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.widgets import Static

from flextui.core.commands import CommandError, LogRequest
from flextui.core.model.docs import LogEvent
from flextui.screens.keys import Key
from flextui.screens.listing import Filter
from flextui.screens.place import Place
from flextui.screens.trail import Location
from flextui.screens.widgets.logview import LONGEST, LogLine, LogView

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

LAST_LINES = 2000


class LineCutter:
    """Turns pieces of bytes of several streams into whole lines, each kept to a bound."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], str] = {}

    def feed(self, event: LogEvent) -> list[LogLine]:
        """The lines that this event completes."""
        origin, stream = event["attempt"], event["stream"]
        if event["kind"] == "gap":
            lost = event["to"] - event["at"]
            text = f"── gap: {lost:,} bytes dropped by rotation ──"
            return [*self.flush(origin, stream), LogLine(origin, "note", text)]
        if event["kind"] == "notice":
            return [LogLine(origin, "note", f"── {event['text']} ──")]
        if event["kind"] == "eof":
            return self.flush(origin, stream)
        text = event["text"]
        if "b64" in event:
            text = base64.b64decode(event["b64"]).decode("utf-8", "replace")
        *whole, rest = (self._open.pop((origin, stream), "") + text).split("\n")
        self._open[origin, stream] = rest[:LONGEST]
        return [LogLine(origin, stream, line[:LONGEST].rstrip("\r")) for line in whole]

    def flush(self, origin: str, stream: str) -> list[LogLine]:
        """What is left of streams that ended without a newline; `stream` empty means all."""
        keys = [k for k in self._open if k[0] == origin and stream in ("", k[1])]
        rests = [(k, self._open.pop(k)) for k in keys]
        return [LogLine(k[0], k[1], rest) for k, rest in rests if rest]


class Logs(Place):
    """Follow, scroll, filter."""

    NAME = "logs"
    USES = ("pager",)
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("origins", "o", "show where lines are from, or not", short="origins"),
        Key("stream", "w", "both streams, stdout, stderr", short="stream"),
        Key("yank", "y", "yank what is shown", short="yank all"),
    )
    HELP = "The log of every task, merged. Scrolling up stops following; G follows again."
    DEFAULT_CSS = (
        "Logs #bar { height: 1; padding: 0 1; color: $foreground-muted; background: $surface; }"
    )

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        _, job_id, attempt = location
        job = app.view.jobs.get(job_id)
        super().__init__(location, f"{job['name'] if job else job_id} ▸ logs")
        self._job = job_id
        self._attempt = attempt or None
        self._streams: tuple[str, ...] = ("out", "err")
        self._ended = False
        self._log_bar = Static(id="bar", markup=False)
        self._log = LogView(id="log")

    def content(self) -> ComposeResult:
        yield self._log_bar
        yield self._log

    def home_focus(self) -> LogView:
        return self._log

    def on_mount(self) -> None:
        super().on_mount()
        self.home_focus().origins = self._attempt is None
        self._follow()

    @work(exclusive=True)
    async def _follow(self) -> None:
        client = self.app.client
        if client is None:
            return
        cutter = LineCutter()
        request = LogRequest(
            self._job, attempt=self._attempt, streams=self._streams,
            last_lines=LAST_LINES, follow=True,
        )  # fmt: skip
        self._ended = False
        try:
            async for event in client.logs(request):
                if lines := cutter.feed(event):
                    self.home_focus().add(lines)
                    self._bar()
        except (CommandError, ConnectionError) as error:
            self.home_focus().add([LogLine("", "note", f"── {error} ──")])
        self._ended = True
        self._bar()

    @on(LogView.FollowChanged)
    def _bar(self) -> None:
        view = self.home_focus()
        mode = "ended" if self._ended else "follow" if view.following else "paused, G follows"
        streams = {("out", "err"): "stdout+stderr", ("out",): "stdout", ("err",): "stderr"}
        found = f" · {view.count} lines match /{self.pattern}/" if self.pattern else ""
        what = self._attempt or "all tasks"
        self._log_bar.update(
            f"{what} · {streams[self._streams]} · {mode} · {view.count} lines{found}"
        )

    def filter_changed(self) -> None:
        wanted = Filter(self.pattern)
        self.home_focus().search(None if wanted.empty else wanted.regex, inverse=wanted.inverse)
        self.refresh_view()
        self._bar()

    def found(self) -> str:
        if not self.pattern:
            return ""
        words = f"{self._log.count:,} of {self._log.total:,} lines"
        return f"{words}, as plain text" if Filter(self.pattern).literal else words

    def action_origins(self) -> None:
        view = self.home_focus()
        view.origins = not view.origins
        view.refresh()

    def action_stream(self) -> None:
        order: list[tuple[str, ...]] = [("out", "err"), ("out",), ("err",)]
        self._streams = order[(order.index(self._streams) + 1) % 3]
        self._log.clear()
        self._follow()

    def action_yank(self) -> None:
        self.app.yank(self.home_focus().text(), what="the log as shown")
