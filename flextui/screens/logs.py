"""Logs of any selection of jobs, tasks, attempts and nodes, merged in time order.

The end is there at once and followed; further up, around a time or a hit, windows are read page by
page from where the logs lie (`logs_window`). Searching happens there too (`logs_search`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from flextui.core.logbook import times
from flextui.core.logbook.lines import Line
from flextui.screens.keys import Bound, Key
from flextui.screens.logs_out import Out
from flextui.screens.place import Place
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.logview import LogView

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

_STREAMS: tuple[tuple[str, ...], ...] = (("out", "err"), ("out",), ("err",))
_STREAM_WORDS = {("out", "err"): "", ("out",): "stdout", ("err",): "stderr"}
_CONTEXTS = (0, 1, 3, 5, 10, 20)
_FOUND = ("next-hit", "only", "more-context")
SLIDER = 9
LEAST = 24
"""Cells in which what went wrong is told at least."""


class Logs(Out, Place):
    """Follow, scroll, look for, jump, mark, take out."""

    NAME = "logs"
    USES = ("pager",)
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("next-hit", "n", "the next line that was found", "hit(1)", short="next"),
        Key("previous-hit", "N", "the one before", "hit(-1)"),
        Key("only", "&", "only what was found, or all lines with it marked", short="only/all"),
        Key(
            "more-context", "+, =", "more lines around what was found", "context(1)", short="around"
        ),
        Key("less-context", "-", "fewer lines around what was found", "context(-1)"),
        Key("next-error", "e", "the next error", "error(1)", short="error"),
        Key("previous-error", "E", "the error before", "error(-1)"),
        Key("jump", "T", "jump to a time", short="time"),
        Key("last", "L", "the last minutes or lines, whichever is more", short="last"),
        Key("stamps", "t", "times local, UTC, relative, off", short="stamps"),
        Key("wrap", "w", "wrap long lines, or not", short="wrap"),
        Key("pretty", "p", "lay JSON out, or not"),
        Key("stream", "s", "both streams, stdout, stderr"),
        Key("origins", "o", "show where lines are from, or not"),
        Key("attempts", "a", "all attempts, or the newest of each task"),
        Key("mark", "m", "mark this line; a second one: the time between", short="mark"),
        Key("yank", "y", "yank this line, or those between the marks"),
        Key("yank-all", "Y", "yank all lines that are loaded"),
        Key("save", "S", "save to a file: all of it, or from mark to mark", short="save"),
        Key("pager", "v", "open what is loaded in $PAGER", short="$PAGER"),
    )
    HELP = (
        "What is printed, merged in time order; at the end at once, and followed. Scrolling up "
        "stops following and nothing moves; G follows again. / shows only lines that match, with "
        "+ and - lines around them; & shows all lines around the same place. A pattern without "
        "capitals ignores case; !pattern shows all but that."
    )
    LEGEND = ("✗ error  ▴ warning  e stderr  a b marks  ▸ goes on to the right",)
    DEFAULT_CSS = """
    Logs #bar { height: 1; padding: 0 1; color: $foreground-muted; background: $surface; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        _, what, *rest = location
        words = tuple((rest[0] if rest and rest[0] else what).split(","))
        super().__init__(location, f"{title(words, app.view)} ▸ logs")
        self.begin(words)
        self._log_bar = Static(id="bar", markup=False)

    def content(self) -> ComposeResult:
        yield self._log_bar
        yield self.log_view

    def home_focus(self) -> LogView:
        return self.log_view

    def on_mount(self) -> None:
        super().on_mount()
        self.open_tail()

    def show_view(self, view: View) -> None:
        self.chosen_changed()
        self.draw_bar()

    def filter_changed(self) -> None:
        self.look_for(self.pattern)
        self.draw_bar()

    def found(self) -> str:
        return self.search_words()

    def hints(self) -> list[tuple[str, str]]:
        """What leads back to following comes first while it isn't followed."""
        found = super().hints()
        back = [it for it in found if it[1] == "follow" and not self.log_view.following]
        return back + [it for it in found if it[1] != "follow"]

    def offers(self, bound: Bound) -> bool:
        """Keys about what was found only where something is looked for."""
        return super().offers(bound) and (self.what is not None or bound.key.name not in _FOUND)

    # ── the bar ──

    @on(LogView.FollowChanged)
    @on(LogView.Moved)
    def draw_bar(self) -> None:
        """Where one is in the log, in words and as a place between its beginning and now."""
        self.log_view.empty = self.nothing_words()
        self._filter.found = self.found()
        said = [
            self.what_words(), self.follow_words(), _STREAM_WORDS[self.streams],
            self.search_words(), self.mark_words(),
        ]  # fmt: skip
        slider, width = self._slider(), self.size.width - 2
        text = laid([it for it in said if it], self.trouble, slider, width)
        if text != self._log_bar.content:
            self._log_bar.update(text, layout=False)  # it is a line, whatever it says

    def _slider(self) -> str:
        line = self.log_view.cursor_line
        if line is None or not line.at:
            return ""
        now = self.app.clock() * 1000
        begin = min((it.began for it in self.chosen.origins.values() if it.began), default=line.at)
        share = min(1.0, max(0.0, (line.at - begin) / max(1.0, now - begin)))
        share = 1.0 if self.log_view.following else share
        at = round(share * (SLIDER - 1))
        kind = "utc" if self.log_view.manner.stamps == "utc" else "local"
        same = times.day(line.at, kind) == times.day(now, kind)
        when = ("" if same else times.day(line.at, kind) + " ") + times.stamp(line.at, kind, 0)[:8]
        return f" {when} ◂{'─' * at}●{'─' * (SLIDER - 1 - at)}▸ now"

    def nothing_words(self) -> str:
        """Why there is no line."""
        if self.thinking or self.trouble:
            return ""
        if self.only is not None:
            return "nothing matches"
        if not self.chosen.origins:
            return "nothing of it has run yet"
        return "nothing was printed" if self.ended else "nothing was printed yet"

    def what_words(self) -> str:
        """How much of what is shown."""
        origins = self.chosen.origins.values()
        tasks = {(it.job, it.task) for it in origins}
        nodes = {it.node for it in origins}
        jobs = {it.job for it in origins}
        if len(self.chosen.origins) == 1:
            (only,) = origins
            words = f"{only.attempt} on {only.node}"
        else:
            parts = [count(len(jobs), "job")] if len(jobs) > 1 else []
            parts += [count(len(tasks), "task"), count(len(self.chosen.origins), "attempt")]
            words = ", ".join([*parts, f"{count(len(nodes), 'node')}"])
        if self.chosen.older:
            words += f" ({self.chosen.older} older: a)"
        if self.chosen.left_out:
            words += f" ({self.chosen.left_out} jobs left out)"
        return words

    def mark_words(self) -> str:
        """What the marks say."""
        marks = self.marked
        if not marks:
            return ""
        here = self.log_view.cursor_line
        other = marks[1] if len(marks) > 1 else here
        if other is None or not other.at or not marks[0].at:
            return "marked a"
        word = "a to b" if len(marks) > 1 else "a to here"
        between = times.span(abs(other.at - marks[0].at) / 1000)
        return f"{word} {'' if other.at >= marks[0].at else '-'}{between}"

    # ── how lines are drawn ──

    def action_stamps(self) -> None:
        manner = self.log_view.manner
        manner.stamps = times.STAMPS[(times.STAMPS.index(manner.stamps) + 1) % len(times.STAMPS)]
        self.app.tell(f"times: {manner.stamps}")
        self._restyled()

    def action_wrap(self) -> None:
        manner = self.log_view.manner
        manner.wrap, manner.shift = not manner.wrap, 0
        self._restyled()

    def action_pretty(self) -> None:
        manner = self.log_view.manner
        manner.pretty = not manner.pretty
        self.app.tell("JSON laid out" if manner.pretty else "JSON as it is")
        self._restyled()

    def action_origins(self) -> None:
        manner = self.log_view.manner
        manner.origins = not manner.origins
        self._restyled()

    def _restyled(self) -> None:
        self.log_view.restyle()
        self.draw_bar()

    def action_stream(self) -> None:
        self.streams = _STREAMS[(_STREAMS.index(self.streams) + 1) % len(_STREAMS)]
        self.app.tell(f"streams: {_STREAM_WORDS[self.streams] or 'stdout and stderr'}")
        self.open_tail()

    def action_attempts(self) -> None:
        self.every = not (self.every if self.every is not None else not self.chosen.older)
        self.app.tell("all attempts" if self.every else "the newest attempt of each task")
        self.open_tail()

    # ── marks ──

    def action_mark(self) -> None:
        line = self.log_view.cursor_line
        if line is None:
            return
        self.log_view.pause()
        marks: list[Line] = [] if len(self.marked) == 2 else self.marked
        self.marked = [it for it in marks if it.key != line.key]
        if len(self.marked) == len(marks):
            self.marked.append(line)
        names = zip(self.marked, "ab", strict=False)
        self.log_view.manner.marks = {it.key: name for it, name in names}
        self._restyled()

    def action_context(self, step: int) -> None:
        at = _CONTEXTS.index(self.context) + step
        self.context = _CONTEXTS[max(0, min(at, len(_CONTEXTS) - 1))]
        if self.only is None:
            self.app.tell(f"{count(self.context, 'line')} around what will be found")
        self.context_changed()


def laid(words: list[str], trouble: str, slider: str, width: int) -> Text:
    """The bar: what is shown, what went wrong, and where one is. Where all of it doesn't fit, first
    the slider becomes its time, then what went wrong is cut, then the first words leave."""

    def length(of: list[str]) -> int:
        return sum(cell_len(it) + 3 for it in of)

    told = [trouble] if trouble else []
    if length([*words, *told]) + cell_len(slider) > width:
        slider = slider.partition(" ◂")[0]
    room = width - cell_len(slider) - 1
    while len(words) > 1 and length(words) + (min(cell_len(trouble), LEAST) if told else -3) > room:
        words = words[1:]
    text = Text(" · ".join(words), no_wrap=True)
    if told:
        text.append(" · ")
        text.append(trouble, "bold")
    text.truncate(max(0, room), overflow="ellipsis", pad=True)
    return text.append(" " + slider)


def count(number: int, noun: str) -> str:
    """`1 job`, `3 jobs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def title(words: tuple[str, ...], view: View) -> str:
    """What a selection is called on the top line."""
    word = words[0]
    if word.startswith("@"):
        name = word[1:]
    else:
        job = view.jobs.get(word.partition(".")[0])
        name = (job["name"] if job else word.partition(".")[0]) + word[
            len(word.partition(".")[0]) :
        ]
    return f"{name} +{len(words) - 1}" if len(words) > 1 else name
