"""Pure: how bad a line is, whoever wrote it: a logger, a traceback, CUDA, NCCL, a kernel."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

ERRORS = (
    r"ERROR|CRITICAL|FATAL|Traceback \(most recent|[A-Za-z]Error\b|Exception\b|"
    r"\b(error|fatal|Fatal|Error|panic|PANIC)\b[ :\[(]|\[rank[0-9]+\]:.*(Error|abort)|"
    r"NCCL (WARN|ERROR)|ncclSystemError|ncclInternalError|Watchdog caught|"
    r"CUDA (error|out of memory)|cudaError|out of memory|Out of memory|\bOOM|\bX[Ii][Dd]\b|"
    r"[Ss]egmentation fault|core dumped|Killed\b|Aborted\b|Bus error|"
    r"No space left on device|Connection refused|"
    r"\"(level|levelname|severity)\": ?\"(error|fatal|critical)"
)
"""What `next error` and `--errors` look for: a pattern that grep can take to the node."""
WARNINGS = r"\b(WARN(ING)?|[Ww]arn(ing)?)\b|[A-Za-z]Warning\b|\"(level|severity)\": ?\"warn"
_ERRORS = re.compile(ERRORS)
_WARNINGS = re.compile(WARNINGS)
_QUIET = re.compile(r"\b(DEBUG|TRACE|debug|trace)\b")
_HARMLESS = re.compile(r"\b(0|no|without) (errors?|exceptions?|failures?)\b|errors?[:=] ?0\b", re.I)


@lru_cache(maxsize=8192)
def level(text: str) -> str:
    """error, warning, debug, or nothing."""
    head = text[:1024]
    if _ERRORS.search(head) and not _HARMLESS.search(head):
        return "error"
    if _WARNINGS.search(head):
        return "warning"
    return "debug" if _QUIET.search(head[:80]) else ""


def pretty(text: str) -> list[str] | None:
    """A line that is, or ends with, a JSON object or list, as several; None for any other."""
    begin = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if begin < 0:
        return None
    try:
        value: Any = json.loads(text[begin:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict | list) or not value:
        return None
    head = text[:begin].rstrip()
    return [*([head] if head else []), *json.dumps(value, indent=2, ensure_ascii=False).split("\n")]
