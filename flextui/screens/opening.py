"""How the terminal is to look: the config first, then flags, the environment, the terminal."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

from flextui.core.model.problems import Problem
from flextui.screens.config import Config
from flextui.screens.look import Look
from flextui.screens.probe import Answer, light_by_environment


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says."""

    read_only: bool = False
    ascii_only: bool = False
    slow_line: bool = False


def look(
    config: Config,
    problems: tuple[Problem, ...],
    flags: Flags,
    environ: Mapping[str, str],
    encoding: str,
    answer: Answer,
) -> Look:
    """The look of the terminal that all this describes."""
    colours = _colours(config, environ)
    return Look(
        theme=_theme(config, environ, answer, colours),
        ascii_only=flags.ascii_only or _ascii(config, environ, encoding),
        colours=colours,
        slow=flags.slow_line or config.line == "slow" or (config.line == "auto" and answer.far),
        updates=config.updates,
        mouse=config.mouse,
        undo_s=config.undo,
        read_only=flags.read_only or config.read_only,
        keys=config.keys,
        layouts=config.lists,
        problems=tuple(map(str, problems)),
    )


def _colours(config: Config, environ: Mapping[str, str]) -> str:
    if config.colours != "auto":
        return config.colours
    if environ.get("NO_COLOR"):
        return "none"
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "truecolor"
    term = environ.get("TERM", "")
    if "direct" in term or term.startswith(("xterm-kitty", "alacritty", "wezterm", "foot")):
        return "truecolor"
    if "256" in term:
        return "256"
    return "none" if term in ("dumb", "vt100", "vt220") else "16"


def _theme(config: Config, environ: Mapping[str, str], answer: Answer, colours: str) -> str:
    light = {"light": True, "dark": False}.get(config.theme)
    if light is None:
        light = answer.light
    if light is None:
        light = light_by_environment(environ) or False
    if config.theme not in ("auto", "light", "dark"):
        return config.theme
    if colours in ("16", "none"):
        return "ansi-light" if light else "ansi-dark"
    return config.light_theme if light else config.dark_theme


def _ascii(config: Config, environ: Mapping[str, str], encoding: str) -> bool:
    if config.glyphs != "auto":
        return config.glyphs == "ascii"
    if environ.get("FLEXTUI_ASCII", "") not in ("", "0"):
        return True
    if _plain_locale(environ):
        return True
    try:
        return codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig")
    except LookupError:
        return True


def _plain_locale(environ: Mapping[str, str]) -> bool:
    """Whether somebody chose the C locale. Python takes it for UTF-8, and where it can it sets
    LC_CTYPE so, in place of what was chosen. Source: PEP 538, PEP 540."""
    chosen = environ.get("LC_ALL") or environ.get("LC_CTYPE", "")
    if chosen in ("", "C.UTF-8"):
        chosen = environ.get("LANG", "")
    return chosen in ("C", "POSIX")
