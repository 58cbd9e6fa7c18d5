"""Commands about problems that are known: hear no more of them for a while, or again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flextui.core.authorize import admins_only, may_act_on
from flextui.core.commands import CommandError, Silence, Unsilence
from flextui.core.draft import Draft
from flextui.core.model import silences as model
from flextui.core.model.docs import ProblemDoc
from flextui.core.model.problems import nearest, quote
from flextui.core.model.state import Identity
from flextui.core.model.times import iso
from flextui.core.model.units import format_duration
from flextui.core.reduce.jobs import Answer

LONGEST_S = 90 * 86_400.0
"""Who wants to hear nothing for longer mends what is wrong, or the inventory."""


def silence(
    draft: Draft, who: Identity, admin: bool, command: Silence, found: Sequence[ProblemDoc]
) -> Answer:
    """Silence problems that are there: `found` has all of them. Raises `CommandError`."""
    if not 0 < command.for_s <= LONGEST_S:
        most = format_duration(LONGEST_S)
        raise CommandError("input", f"a problem is silenced for up to {most}, not longer")
    known = {it["id"]: it for it in found}
    chosen = [_problem(known, it) for it in command.problems]
    for problem in chosen:
        _may(draft, who, admin, problem["job"])
    wall = draft.now.wall
    for old in [it for it in draft.silences.values() if it.until <= wall]:
        draft.silences.drop(old.problem)
    for problem in chosen:
        made = model.Silence(
            problem["id"], problem["severity"], who.user, wall, wall + command.for_s, command.why
        )
        draft.silences.put(made.problem, made)
        why = f": {command.why}" if command.why else ""
        text = f"{problem['what']} silenced for {format_duration(command.for_s)}{why}"
        draft.note("audit.silenced", text, actor=who.user, job=problem["job"], node=problem["node"])
    names, until = [it["id"] for it in chosen], iso(wall + command.for_s)
    return lambda _: {"problems": names, "until": until}


def unsilence(draft: Draft, who: Identity, admin: bool, command: Unsilence) -> Answer:
    """Let problems be heard again. Raises `CommandError`."""
    known = {it.problem: it for it in draft.silences.values()}
    chosen = [_one(known, it, "silenced problem") for it in command.problems]
    for name in chosen:
        if known[name].by != who.user:
            admins_only("end what somebody else has silenced", admin)
    for name in chosen:
        draft.silences.drop(name)
        draft.note("audit.unsilenced", name, actor=who.user)
    return lambda _: {"problems": chosen}


def _problem(known: Mapping[str, ProblemDoc], name: str) -> ProblemDoc:
    return known[_one(known, name, "problem now")]


def _one(known: Mapping[str, object], name: str, what: str) -> str:
    """The id that is meant: itself, or the one that begins so."""
    if name in known:
        return name
    begun = sorted(it for it in known if it.startswith(name))
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise CommandError("input", f"{quote(name)} begins several", candidates=tuple(begun))
    like = nearest(name, known)
    hint = f"; did you mean {like}?" if like else ""
    raise CommandError(
        "input", f"there is no {what} {quote(name)}{hint}", candidates=(like,) if like else ()
    )


def _may(draft: Draft, who: Identity, admin: bool, job_id: str | None) -> None:
    """Owners of the job that it is about, and admins."""
    job = draft.job(job_id) if job_id else None
    if job is None:
        admins_only("silence what is about no job of theirs", admin)
    else:
        may_act_on(job, who, admin)
