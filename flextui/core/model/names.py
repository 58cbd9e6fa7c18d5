"""Names and marks as all who tell of them have them. Kept apart from the models that use it, which
take long to import."""

from __future__ import annotations

import re


def short_name(hostname: str) -> str:
    """What a machine is called as a node that no inventory names."""
    first = hostname.split(".")[0].lower()
    return re.sub(r"[^a-z0-9-]+", "-", first)[:63].strip("-") or "local"


def mark_text(word: str, by: str, why: str) -> str:
    """Who took something out of use: 'drained by alice: new disks'."""
    return f"{word} by {by}" + (f": {why}" if why else "")
