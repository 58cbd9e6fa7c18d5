"""Commands about reservations: keep devices for somebody, and let them go again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flextui.core.authorize import admins_only
from flextui.core.calendar_view import window_view
from flextui.core.commands import CommandError, Reserve, Unreserve
from flextui.core.draft import Draft
from flextui.core.model.document import load
from flextui.core.model.moments import parse_time
from flextui.core.model.problems import BadValue, nearest, quote
from flextui.core.model.reader import Grammar, read
from flextui.core.model.state import Identity
from flextui.core.model.units import parse_duration
from flextui.core.model.windows import Reservation, zone_of
from flextui.core.reduce.fleet import find_node
from flextui.core.reduce.jobs import Answer

_GRAMMAR = Grammar(
    model=Reservation, text=frozenset({("name",), ("for", "*"), ("nodes", "*")}), later={}
)


def reserve(draft: Draft, who: Identity, admin: bool, command: Reserve) -> Answer:
    """Keep nodes, or some of their GPUs, for somebody. Raises `CommandError`."""
    admins_only("reserve nodes and GPUs", admin)
    wanted = _reservation(command, draft.now.wall)
    _check_names(draft, wanted)
    _check_gpus(draft, wanted)
    _check_free(draft, wanted)
    for old in [it for it in draft.reservations.values() if it.next_span(draft.now.wall) is None]:
        draft.reservations.drop(old.name)
    draft.reservations.put(wanted.name, wanted)
    draft.replan = True
    text = f"{wanted.name}: {_what(wanted)} for {', '.join(wanted.for_)}"
    draft.note("audit.reserved", text, actor=who.user)
    wall = draft.now.wall
    return lambda _: {"reservation": window_view(wanted, "command", wall)}


def unreserve(draft: Draft, who: Identity, admin: bool, command: Unreserve) -> Answer:
    """Let go what a command reserved. Raises `CommandError`."""
    admins_only("end reservations", admin)
    name = command.name
    if draft.reservations.get(name) is None:
        known = [it.name for it in draft.reservations.values()]
        if name in {it.name for it in _of_inventory(draft)}:
            raise CommandError("input", f"{name} is in the inventory: take it out there")
        like = nearest(name, known)
        text = f"there is no reservation {quote(name)}" + (
            f"; did you mean {like}?" if like else ""
        )
        raise CommandError("input", text, candidates=(like,) if like else ())
    draft.reservations.drop(name)
    draft.replan = True
    draft.note("audit.unreserved", name, actor=who.user)
    return lambda _: {"name": name}


def _reservation(command: Reserve, wall: float) -> Reservation:
    """The reservation that a command asks for, read as one of an inventory would be."""
    given: dict[str, Any] = {
        "name": command.name,
        "nodes": "all" if command.nodes == ("all",) else list(command.nodes),
        "for": list(command.who),
        "from": _start(command.begin, command.timezone, wall),
        "to": command.end,
        "gpus": list(command.gpus) or None,
        "every": command.every,
        "until": command.until,
        "timezone": command.timezone,
    }
    documents, problems = load(json.dumps(given, ensure_ascii=False), "the command")
    found = None
    if documents:
        found, problems = read(documents[0], _GRAMMAR)
    if found is None:
        told = [
            it.message
            + (f"; expected {it.expected}" if it.expected else "")
            + (f"; did you mean {quote(it.nearest)}?" if it.nearest else "")
            for it in problems
        ]
        raise CommandError("input", ". ".join(told))
    if found.next_span(wall) is None:
        raise CommandError("input", "it would be over already; expected a time to come")
    return found


def _start(begin: str, timezone: str | None, wall: float) -> str:
    """When it begins, as an inventory would have it: a time, or so long from now, or now."""
    try:
        if begin and parse_time(begin) is not None:
            return begin
        start = wall + (parse_duration(begin) if begin else 0.0)
        local = datetime.fromtimestamp(start, zone_of(timezone)).replace(tzinfo=None)
    except BadValue:
        return begin  # the reader says what is wrong with it, or with the zone
    return local.isoformat(timespec="seconds")


def _of_inventory(draft: Draft) -> tuple[Any, ...]:
    return (*draft.inventory.reservations, *draft.inventory.maintenance)


def _check_names(draft: Draft, wanted: Reservation) -> None:
    taken = {it.name for it in (*_of_inventory(draft), *draft.reservations.values())}
    if wanted.name in taken:
        raise CommandError(
            "input",
            f"there is {quote(wanted.name)} already: give another name, "
            f"or end it first with flextui unreserve {wanted.name}",
        )
    for name in () if wanted.nodes == "all" else wanted.nodes:
        find_node(draft, name)
    for name in wanted.for_:
        project = name.removeprefix("project:")
        if project != name and project not in draft.inventory.projects:
            like = nearest(project, draft.inventory.projects)
            hint = f"; did you mean {like}?" if like else ""
            raise CommandError("input", f"there is no project {quote(project)}{hint}")


def _check_gpus(draft: Draft, wanted: Reservation) -> None:
    """Indices that a known node doesn't have."""
    for node in draft.nodes.values():
        if wanted.nodes == "all" or not wanted.covers(node.name) or not node.sampled:
            continue
        has = {gpu.index for gpu in node.gpus}
        lacking = [index for index in wanted.gpus or () if index not in has]
        if lacking:
            known = ", ".join(map(str, sorted(has))) or "none"
            raise CommandError("input", f"{node.name} has no GPU {lacking[0]} (it has {known})")


def _check_free(draft: Draft, wanted: Reservation) -> None:
    others: Iterable[Reservation] = (*draft.inventory.reservations, *draft.reservations.values())
    for other in others:
        meets = wanted.conflict(other)
        if meets is not None:
            raise CommandError(
                "input",
                f"{other.name} keeps some of that for {', '.join(other.for_)}, "
                f"first from {wanted.local(meets[0])} to {wanted.local(meets[1])}; "
                "expected other nodes, other GPUs or another time",
                candidates=(other.name,),
            )


def _what(wanted: Reservation) -> str:
    nodes = "all nodes" if isinstance(wanted.nodes, str) else ", ".join(wanted.nodes)
    gpus = f" GPU {', '.join(map(str, wanted.gpus))}" if wanted.gpus else ""
    return f"{nodes}{gpus}"
