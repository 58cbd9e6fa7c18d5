"""What an edit changes, before it is applied: the text line by line, and what becomes of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flextui.screens.format import Span

MOST_LINES = 4000
"""Differing parts longer than this are told by their length alone."""
_EFFECTS = {
    "restart": "restarts its tasks",
    "move": "restarts tasks whose node it rules out",
    "now": "from now on, nothing restarts",
    "next": "when they start again",
}


def unified(old: str, new: str, context: int = 2) -> list[Span]:
    """A line each, in the roles `add`, `del`, `dim` (context) and `accent` (where it is)."""
    before, after = old.splitlines(), new.splitlines()
    head, tail = _common(before, after)
    cut = max(0, head - context)
    a, b = before[cut : len(before) - tail + context], after[cut : len(after) - tail + context]
    if len(a) + len(b) > MOST_LINES:
        return [Span(f"- {len(a)} lines", "del"), Span(f"+ {len(b)} lines", "add")]
    return list(_unified(a, b, cut, context))


def _common(before: Sequence[str], after: Sequence[str]) -> tuple[int, int]:
    """How many lines are the same from the beginning, and from the end."""
    most, head, tail = min(len(before), len(after)), 0, 0
    while head < most and before[head] == after[head]:
        head += 1
    while tail < most - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return head, tail if tail else 0


def _unified(a: Sequence[str], b: Sequence[str], offset: int, context: int) -> Iterator[Span]:
    import difflib  # slow to import: not before the first paint

    groups = difflib.SequenceMatcher(None, a, b).get_grouped_opcodes(context)
    for group in groups:
        yield Span(f"@ line {group[0][3] + 1 + offset}", "accent")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (Span(f"  {line}", "dim") for line in a[i1:i2])
                continue
            yield from (Span(f"- {line}", "del") for line in a[i1:i2])
            yield from (Span(f"+ {line}", "add") for line in b[j1:j2])


def effect_spans(plan: Mapping[str, Any]) -> list[Span]:
    """What a plan of an edit says of the job's tasks, and which fields are why."""
    spans: list[Span] = []
    tasks = plan.get("tasks") or ()
    restarts = [task for task in tasks if task.get("restarts")]
    ends = [task for task in tasks if task.get("ends")]
    stays = [task for task in tasks if task.get("stays")]
    if restarts:
        fields = dict.fromkeys(field for task in restarts for field in task["restarts"])
        which = _tasks(restarts, len(tasks))
        spans.append(Span(f"restarts {which}: {', '.join(fields)} changed", "warn"))
    if ends:
        spans.append(Span(f"ends {_tasks(ends, len(tasks))}", "warn"))
    if stays and not restarts and not ends:
        spans.append(Span("nothing restarts", "ok"))
    elif stays:
        spans.append(Span(f"{len(stays)} run on", "ok"))
    return spans


def _tasks(tasks: Sequence[Mapping[str, Any]], of: int) -> str:
    if len(tasks) == of and of > 1:
        return f"all {of} tasks"
    if len(tasks) > 3:
        return f"{len(tasks)} of {of} tasks"
    numbers = ", ".join(str(task["index"]) for task in tasks)
    return f"task {numbers}" if len(tasks) == 1 else f"tasks {numbers}"


def field_lines(diff: Sequence[Mapping[str, Any]]) -> list[Span]:
    """Each field that changed, from what to what, and when it takes effect."""
    return [
        Span(
            f"{row['field']}: {_shown(row, 'old')} → {_shown(row, 'new')}"
            + (f"  ({_EFFECTS[row['effect']]})" if row.get("effect") in _EFFECTS else ""),
            "warn" if row.get("effect") in ("restart", "move") else "",
        )
        for row in diff
    ]


def _shown(row: Mapping[str, Any], which: str) -> str:
    from flextui.core.model.yamlout import as_written  # slow to import: not before the first paint

    return value_text(as_written(row["field"].rpartition(".")[2], row[which]))


def value_text(value: Any) -> str:
    """A value of a spec on one line."""
    import json

    if value is None:
        return "unset"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ⏎ ".join(text.splitlines()) or "''"
    return text if len(text) <= 60 else f"{text[:59]}…"
