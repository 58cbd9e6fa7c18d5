"""The page lists every key as it is; `FLEXTUI_DOCS=write` renews the lists."""

from __future__ import annotations

import os
import re
from pathlib import Path

from flextui.screens import places
from flextui.screens.keys import chords, shown

PAGE = Path(__file__).parents[2] / "docs" / "terminal.md"
_PART = re.compile(r"(?<=<!-- keys -->\n).*?(?=<!-- /keys -->)", re.S)


def listed() -> str:
    """A table for each place; the sort keys, which follow from the columns, in one line."""
    parts = []
    for place, keys in places.keys().items():
        rows = [f"**{place}**\n", "| key | name | does | command |", "|---|---|---|---|"]
        sorts = []
        for key in keys:
            pressed = " ".join(f"`{shown(it)}`" for it in chords(key.strokes)).replace("|", r"\|")
            if key.name.startswith("sort-"):
                sorts.append(f"{pressed} `{key.name}`")
                continue
            command = f"`flextui {key.command}`" if key.command else ""
            rows.append(f"| {pressed} | `{key.name}` | {key.word} | {command} |")
        if len(rows) == 3:
            rows = rows[:1]
        parts.append("\n".join(rows) + ("\n\n" + " · ".join(sorts) if sorts else ""))
    return "\n\n".join(parts) + "\n\n"


def test_the_page_has_every_key() -> None:
    text = PAGE.read_text()
    if os.environ.get("FLEXTUI_DOCS") == "write":
        PAGE.write_text(_PART.sub(lambda _: listed(), text))
    found = _PART.search(PAGE.read_text())
    assert found is not None
    assert found[0] == listed()
