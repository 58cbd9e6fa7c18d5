"""How the terminal is to look: config, flags, environment, and what the terminal says itself."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from textual.events import Key

from flextui.core.model.problems import Problem
from flextui.screens import probe
from flextui.screens.collector import EVERY_S, QUIET_S, Collector
from flextui.screens.config import Config
from flextui.screens.driver import TerminalDriver
from flextui.screens.keyboard import Keyboard
from flextui.screens.look import Look
from flextui.screens.opening import Flags, look
from flextui.screens.probe import Answer, Probe, light_by_environment, understood


def opened(
    config: Config | None = None,
    environ: dict[str, str] | None = None,
    answer: Answer | None = None,
    encoding: str = "utf-8",
    flags: Flags | None = None,
) -> Look:
    environ = {"TERM": "xterm-256color", **(environ or {})}
    return look(config or Config(), (), flags or Flags(), environ, encoding, answer or Answer())


def test_the_background_decides_between_light_and_dark() -> None:
    assert opened().theme == "textual-dark"
    assert opened(answer=Answer(light=True)).theme == "textual-light"
    assert opened(environ={"COLORFGBG": "0;15"}).theme == "textual-light"
    assert opened(environ={"COLORFGBG": "0;15"}, answer=Answer(light=False)).theme == "textual-dark"
    config = Config(light_theme="solarized-light")
    assert opened(config, answer=Answer(light=True)).theme == "solarized-light"
    assert opened(Config(theme="dark"), answer=Answer(light=True)).theme == "textual-dark"
    assert opened(Config(theme="nord"), answer=Answer(light=True)).theme == "nord"


@pytest.mark.parametrize(
    ("environ", "colours"),
    [
        ({}, "256"),
        ({"COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-kitty"}, "truecolor"),
        ({"TERM": "linux"}, "16"),
        ({"TERM": "screen"}, "16"),
        ({"TERM": "vt100"}, "none"),
        ({"NO_COLOR": "1", "COLORTERM": "truecolor"}, "none"),
        ({"NO_COLOR": "", "COLORTERM": "truecolor"}, "truecolor"),
    ],
)
def test_colours_are_those_that_the_terminal_has(environ: dict[str, str], colours: str) -> None:
    found = opened(environ=environ)
    assert found.colours == colours
    assert found.theme.startswith("ansi") == (colours in ("16", "none"))


def test_the_config_goes_before_the_environment() -> None:
    assert opened(Config(colours="16"), {"COLORTERM": "truecolor"}).theme == "ansi-dark"
    assert opened(Config(colours="256"), {"NO_COLOR": "1"}).colours == "256"


def test_ascii_by_locale_config_flag_and_environment() -> None:
    assert not opened().ascii_only
    assert opened(encoding="ANSI_X3.4-1968").ascii_only
    assert opened(encoding="nonsense").ascii_only
    assert not opened(Config(glyphs="unicode"), encoding="ascii").ascii_only
    assert opened(Config(glyphs="ascii")).ascii_only
    assert opened(environ={"FLEXTUI_ASCII": "1"}).ascii_only
    assert opened(flags=Flags(ascii_only=True)).ascii_only
    for environ in ({"LANG": "C"}, {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"},
                    {"LANG": "C", "LC_CTYPE": "C.UTF-8"}):  # fmt: skip
        assert opened(environ=environ).ascii_only, "Python takes it for UTF-8"
        assert not opened(Config(glyphs="unicode"), environ=environ).ascii_only
    for environ in ({}, {"LANG": "C.UTF-8"}, {"LC_ALL": "de_DE.UTF-8", "LANG": "C"}):
        assert not opened(environ=environ).ascii_only


def test_a_slow_line_is_measured_or_said() -> None:
    assert not opened(answer=Answer(delay_s=0.05)).slow
    assert not opened(answer=Answer(delay_s=None)).slow, "one that doesn't answer isn't slow"
    assert opened(answer=Answer(delay_s=0.3)).slow
    assert not opened(Config(line="fast"), answer=Answer(delay_s=0.3)).slow
    assert opened(Config(line="slow")).interval == 1.0
    assert opened(flags=Flags(slow_line=True)).slow
    assert opened(Config(updates=2.0)).interval == 0.5
    assert opened(Config(updates=0.5, line="slow")).interval == 2.0


def test_mistakes_travel_to_the_screen() -> None:
    problems = (Problem("c", 1, 2, "wrong", "right"),)
    found = look(Config(), problems, Flags(read_only=True), {}, "utf-8", Answer())
    assert found.problems == ("c:1:2: wrong; expected right",)
    assert found.read_only


# ── the terminal's answers ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "light"),
    [
        (b"\x1b]11;rgb:ffff/ffff/ffff\x07\x1b[0n", True),
        (b"\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\\x1b[0n", False),
        (b"\x1b]11;rgb:ff/ff/f0\x07", True),
        (b"\x1b]11;rgba:0000/0000/0000/ffff\x07", False),
        (b"\x1b[0n", None),
        (b"hello", None),
    ],
)
def test_the_background_is_read_in_every_form(data: bytes, light: bool | None) -> None:
    assert understood(data, 0.1) == Answer(light, 0.1)


def test_colorfgbg() -> None:
    assert light_by_environment({"COLORFGBG": "15;0"}) is False
    assert light_by_environment({"COLORFGBG": "0;default;15"}) is True
    assert light_by_environment({"COLORFGBG": "0;default"}) is None
    assert light_by_environment({}) is None


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    mine, theirs = pty.openpty()
    yield mine, theirs
    os.close(mine)
    os.close(theirs)


def test_a_terminal_is_asked_and_left_as_it_was(ends: tuple[int, int]) -> None:
    mine, theirs = ends
    before = termios.tcgetattr(theirs)
    asked = b""

    def answer() -> None:
        nonlocal asked
        while not asked.endswith(b"\x1b[5n"):
            asked += os.read(mine, 100)
        os.write(mine, b"\x1b]11;rgb:fafa/fafa/fafa\x1b\\\x1b[0n")

    terminal = threading.Thread(target=answer)
    with Probe(theirs, theirs) as it:
        terminal.start()
    terminal.join()
    assert it.said.light is True
    assert it.said.delay_s is not None
    assert termios.tcgetattr(theirs) == before


def test_one_that_says_nothing_is_not_waited_for_long(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PATIENCE_S", 0.01)
    with Probe(ends[1], ends[1]) as it:
        pass
    assert it.said == Answer()


def test_what_is_no_terminal_is_not_asked() -> None:
    read, write = os.pipe()
    with Probe(read, write) as it:
        pass
    os.close(write)
    assert it.said == Answer()
    assert os.read(read, 10) == b"", "nothing was written into the pipe"
    os.close(read)


# ── the collector ──────────────────────────────────────────────────────────────────────────────


def test_full_collections_wait_until_nobody_types(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("freeze", "unfreeze", "collect", "set_threshold"):
        monkeypatch.setattr(f"gc.{name}", lambda *_, name=name: done.append(name))
    it = Collector()
    assert not it.moment(1e9), "not before it has begun"
    it.start(100.0)
    assert not it.moment(100.0 + EVERY_S / 2)
    later = 100.0 + EVERY_S
    it.typed(later)
    assert not it.moment(later + QUIET_S / 2)
    assert it.moment(later + QUIET_S)
    assert not it.moment(later + QUIET_S + 1)
    assert done == ["set_threshold", "freeze", "unfreeze", "collect", "freeze"]


def test_what_the_first_paint_doesnt_need_isnt_imported_before_it() -> None:
    code = (
        "import sys\n"
        "import flextui.app, flextui.screens.opening\n"
        "late = ('flextui.screens.places', 'flextui.screens.editor', 'flextui.screens.logs',\n"
        "        'flextui.screens.act', 'pydantic', 'yaml', 'asyncssh', 'sqlite3',\n"
        "        'textual.widgets._text_area')\n"
        "print([it for it in late if it in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


# ── what is typed before it is there ───────────────────────────────────────────────────────────


def test_what_is_typed_while_the_terminal_is_asked_is_kept(ends: tuple[int, int]) -> None:
    ours, theirs = ends
    with Probe(theirs, theirs) as it:
        os.read(ours, 100)
        os.write(ours, b"2\r\x1b]11;rgb:0000/0000/0000\x1b\\j\x1b[0n")
    assert it.said.light is False
    found = Keyboard().feed(it.heard.decode(), 0.0)
    assert [event.key for event in found if isinstance(event, Key)] == ["2", "enter", "j"]


def test_the_driver_types_it_once() -> None:
    app = SimpleNamespace(heard=b"2j")
    driver = TerminalDriver.__new__(TerminalDriver)
    driver._app = app  # type: ignore[assignment]
    assert driver._heard() == b"2j"
    assert driver._heard() == b""
