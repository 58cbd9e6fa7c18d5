"""What `flextui check` says of a node: the way there as connecting found it, its own checks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from flextui.core.adapters import decode
from flextui.core.adapters.channel import Channel
from flextui.core.adapters.failure import PHASES, LinkFailure
from flextui.core.adapters.greeting import Greeting
from flextui.core.adapters.transport import Finding
from flextui.core.model.docs import CheckDoc

PINGS = 5
CLOCK_WARN_S = 2.0
ROWS_BOUND = 64
DRIVER_S = 15.0
"""So long a driver that has just been asked is waited for."""
LOOK_AGAIN_S = 0.3


def failed_rows(node: str, failure: LinkFailure) -> list[CheckDoc]:
    """The phases that went well, then the one that failed."""
    passed = PHASES[: PHASES.index(failure.phase)] if failure.phase in PHASES else ()
    rows = [CheckDoc(node=node, name=name, ok=True, text="ok") for name in passed]
    rows.append(CheckDoc(node=node, name=failure.phase, ok=False, text=failure.text))
    return rows


async def passed_rows(
    node: str, channel: Channel, greeting: Greeting, findings: list[Finding]
) -> list[CheckDoc]:
    """All rows of a node that is connected; a driver that was just asked for the first time is
    waited for. Raises ConnectionError when the link breaks."""
    rows = [_with_latency(row, await _latency(channel)) if row.name == "reach" else row
            for row in findings]  # fmt: skip
    if greeting.noise or any(row.name == "login" for row in findings):
        rows.append(_shell(greeting))
    rows.append(_python(greeting))
    loop = asyncio.get_running_loop()
    until = loop.time() + DRIVER_S
    while True:
        asked = time.time()
        answer = await channel.request({"t": "check"})
        answered = time.time()
        own = _own_checks(answer, (asked + answered) / 2, (answered - asked) / 2)
        waits = any(row.name == "nvml" and row.ok is None for row in own)
        if not waits or loop.time() > until:
            break
        await asyncio.sleep(LOOK_AGAIN_S)  # nothing tells of the driver's first answer
    rows += own
    return [CheckDoc(node=node, name=r.name, ok=r.ok, text=r.text) for r in rows]


async def _latency(channel: Channel) -> float:
    """The best round trip to the agent, in seconds."""
    loop = asyncio.get_running_loop()
    best = float("inf")
    for _ in range(PINGS):
        begin = loop.time()
        await channel.request({"t": "ping"})
        best = min(best, loop.time() - begin)
    return best


def _with_latency(row: Finding, seconds: float) -> Finding:
    return Finding(row.name, row.ok, f"{row.text}, round trip {seconds * 1000:.1f} ms")


def _shell(greeting: Greeting) -> Finding:
    if not greeting.noise:
        return Finding("shell", True, "start-up files print nothing")
    first = greeting.noise.decode("utf-8", "replace").strip().splitlines()
    said = decode.text_of({"said": first[0]}, "said")[:60] if first else ""
    return Finding("shell", None, f"start-up files print on every login: '{said}' (harmless here)")


def _python(greeting: Greeting) -> Finding:
    booted = greeting.booted
    if booted.cache is None:
        text = f"Python {booted.python}; the agent is sent at each connect: {booted.text}"
        return Finding("python", None, text)
    return Finding("python", True, f"Python {booted.python}, agent kept in {booted.cache}")


def _own_checks(answer: dict[str, Any], asked_at: float, give: float) -> list[Finding]:
    """The agent's rows; `asked_at` (Unix seconds) is known to within `give` seconds."""
    if answer.get("t") != "ok":
        return [Finding("agent", False, decode.complaint(answer)[1])]
    checks = answer.get("checks")
    rows = []
    for check in checks[:ROWS_BOUND] if isinstance(checks, list) else []:
        if not isinstance(check, dict):
            continue
        name, ok = decode.text_of(check, "name") or "check", check.get("ok")
        row = Finding(name, ok if isinstance(ok, bool) else None, decode.text_of(check, "text"))
        theirs = check.get("at")
        if name == "clock" and isinstance(theirs, int | float):
            row = _clock(theirs - asked_at, give, row)
        rows.append(row)
    return rows


def _clock(ahead: float, give: float, row: Finding) -> Finding:
    """The node's clock held against this machine's."""
    if abs(ahead) <= CLOCK_WARN_S + give:
        return Finding("clock", row.ok, f"{row.text}, {abs(ahead):.3f} s from this machine's clock")
    way = "ahead of" if ahead > 0 else "behind"
    text = f"{abs(ahead):.0f} s {way} this machine's: let NTP set both ({row.text})"
    return Finding("clock", None, text)
