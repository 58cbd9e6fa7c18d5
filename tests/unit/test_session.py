"""The lasting link's own behaviour, against an agent in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from flextui.core.adapters.backoff import Backoff, Pace
from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.pacer import Turn
from flextui.core.adapters.session import NodeLink, Setup
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.zipapp import AgentZip
from flextui.core.events import (
    AttemptReported,
    AttemptUnknown,
    LeaseAsked,
    NodeConnecting,
    NodeDown,
    NodeFenced,
    NodeReady,
    Sampled,
    StartRefused,
    XidSeen,
)
from flextui.core.model.state import NodeStatus
from flextui.core.ports import (
    AbandonAttempt,
    AckAttempts,
    CoreIdentity,
    GrantLease,
    StartAttempt,
    StopAttempt,
    TailRequest,
)
from tests.adapters.link import Events
from tests.unit.stand_in_agent import StandInAgent, StandInTransport, hello

AGENT = AgentZip(b"zipapp" * 50_000, "0" * 64)
FAST = Pace(first_s=0.001, most_s=0.01, person_first_s=0.001, person_most_s=0.01)


async def agent_zip() -> AgentZip:
    return AGENT


@asynccontextmanager
async def linked(
    make: Callable[[], StandInAgent | LinkFailure],
    *,
    pace: Pace = FAST,
    setup: Setup | None = None,
    name: str = "gpu1",
) -> AsyncIterator[tuple[NodeLink, Events, StandInTransport]]:
    events = Events()
    transport = StandInTransport(make)
    setup = setup or Setup(agent_zip, log_keep_s=60.0, pace=pace)
    link = NodeLink(name, transport, CoreIdentity("c1", 3, "ada@head"), None, events, setup)
    try:
        yield link, events, transport
    finally:
        await link.close(release=False, suspend_leases=False)


def start(attempt: str = "j1.0.1", **changes: Any) -> StartAttempt:
    fields: dict[str, Any] = {
        "attempt": attempt,
        "boot": "b.1.1",
        "job": "j1",
        "task": 0,
        "argv": ("true",),
        "env": {},
        "workdir": None,
        "time_limit_s": None,
        "grace_s": 30.0,
        "memory_bytes": None,
        "lease_s": None,
        "devices": (("GPU-1", 1.0),),
    }
    return StartAttempt(**(fields | changes))


def answering(**answers: dict[str, Any]) -> Callable[[StandInAgent, dict[str, Any]], None]:
    def on_message(agent: StandInAgent, message: dict[str, Any]) -> None:
        if "id" in message:
            answer = answers.get(message["t"], {"t": "ok"})
            agent.say({"t": "ok", **answer, "id": message["id"]})

    return on_message


# ── hello ──────────────────────────────────────────────────────────────────────────────────────


async def test_hello_becomes_ready_with_facts_and_records() -> None:
    record = {"attempt": "j1.0.1", "state": "running", "pid": 7}
    async with linked(lambda: StandInAgent(answer=hello(attempts=[record, {"x": 1}]))) as (
        _,
        events,
        transport,
    ):
        assert await events.wait(NodeConnecting) == NodeConnecting("gpu1")
        ready = await events.wait(NodeReady)
        said = transport.agents[0].received[0]
    assert ready.granted
    assert ready.facts.host_id == "0123456789abcdef-1000"
    assert [(r.attempt, r.state, r.pid) for r in ready.records] == [("j1.0.1", "running", 7)]
    assert (said["core_id"], said["epoch"], said["owner"]) == ("c1", 3, "ada@head")
    assert said["root"] is None
    assert said["takeover"] is False


async def test_start_up_noise_is_skipped_and_the_zipapp_sent_whole() -> None:
    agent = StandInAgent(before=b"Welcome!\nquota: 80 %\nprompt> ", have=False)
    async with linked(lambda: agent) as (link, events, _):
        await events.wait(NodeReady)
        assert agent.zip_bytes == AGENT.data
        agent._on_message = answering(check={"checks": []})
        rows = {row["name"]: row for row in await link.check()}
    assert rows["shell"]["ok"] is None
    assert "Welcome!" in rows["shell"]["text"]


async def test_the_root_of_the_first_hello_is_demanded_at_the_next() -> None:
    async with linked(StandInAgent) as (_, events, transport):
        await events.wait(NodeReady)
        transport.agents[0].end()
        await events.wait(NodeReady)
        said = transport.agents[1].received[0]
    assert said["root"] == {"path": "/home/lab/.local/state/flextui", "id": "r1"}


@pytest.mark.parametrize(
    ("code", "event_code", "status"),
    [
        ("epoch", "epoch", NodeStatus.UNREACHABLE),
        ("version", "version", NodeStatus.UNREACHABLE),
        ("state_missing", "state_missing", NodeStatus.UNREACHABLE),
        ("state_unwritable", "disk", NodeStatus.UNREACHABLE),
    ],
)
async def test_refusals_are_definite(code: str, event_code: str, status: NodeStatus) -> None:
    refusal = {"t": "refused", "code": code, "text": "what is wrong and the mend"}
    async with linked(lambda: StandInAgent(answer=refusal)) as (_, events, _t):
        down = await events.wait(NodeDown)
    assert (down.code, down.status, down.text) == (event_code, status, "what is wrong and the mend")


async def test_a_hello_without_a_host_is_no_hello() -> None:
    async with linked(lambda: StandInAgent(answer={"t": "hello"})) as (_, events, _t):
        assert (await events.wait(NodeDown)).code == "agent"


# ── down and up again ──────────────────────────────────────────────────────────────────────────


async def test_silence_may_be_loss_and_a_complaint_is_not() -> None:
    failures = iter([LinkFailure("refused", "r"), LinkFailure("auth", "a")])
    async with linked(lambda: next(failures, StandInAgent())) as (_, events, _t):
        assert (await events.wait(NodeDown)).status is NodeStatus.LOST
        assert (await events.wait(NodeDown)).status is NodeStatus.UNREACHABLE
        await events.wait(NodeReady)


async def test_the_same_failure_is_told_once() -> None:
    left = 5

    def make() -> StandInAgent | LinkFailure:
        nonlocal left
        left -= 1
        return LinkFailure("timeout", "no answer") if left > 0 else StandInAgent()

    async with linked(make) as (_, events, _t):
        await events.wait(NodeReady)
    assert len([event for event in events.seen if isinstance(event, NodeDown)]) == 1


async def test_a_bug_in_a_transport_is_a_failed_node_not_a_dead_core() -> None:
    calls = 0

    def make() -> StandInAgent:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        return StandInAgent()

    async with linked(make) as (_, events, _t):
        assert (await events.wait(NodeDown)).code == "internal"
        await events.wait(NodeReady)


async def test_retry_now_ends_the_wait() -> None:
    failures = iter([LinkFailure("auth", "no key")])
    pace = Pace(person_first_s=3600.0, person_most_s=3600.0)
    async with linked(lambda: next(failures, StandInAgent()), pace=pace) as (link, events, _t):
        await events.wait(NodeDown)
        link.retry_now()
        await events.wait(NodeConnecting)
        await events.wait(NodeReady)


def test_waits_grow_to_their_bound_and_jitter() -> None:
    backoff = Backoff(Pace())
    waits = [backoff.delay("closed") for _ in range(12)]
    assert waits[0] <= 0.25
    assert all(wait <= 30.0 for wait in waits)
    assert all(15.0 <= wait <= 30.0 for wait in waits[8:])
    assert len(set(waits[8:])) > 1
    backoff.served(5.0)
    assert backoff.delay("closed") >= 15.0
    backoff.served(60.0)
    assert backoff.delay("closed") <= 0.25
    assert backoff.delay("auth") >= 7.5


def test_a_machine_that_is_silent_is_found_soon_after_its_return() -> None:
    backoff = Backoff(Pace())
    assert all(backoff.delay("timeout") <= 2.0 for _ in range(100))
    assert backoff.delay("closed") >= 15.0, "one that turns us away is left in peace"


# ── the dead peer ──────────────────────────────────────────────────────────────────────────────

SHORT = Pace(
    first_s=0.001, most_s=0.01, ping_s=0.05, silent_s=0.2, tick_s=0.02, observe_s=0.05
)  # fmt: skip


async def test_a_silent_agent_is_asked_and_then_dropped() -> None:
    async with linked(StandInAgent, pace=SHORT) as (_, events, transport):
        await events.wait(NodeReady)
        down = await events.wait(NodeDown)
        said = [message["t"] for message in transport.agents[0].received]
    assert (down.code, down.status) == ("timeout", NodeStatus.LOST)
    assert "ping" in said


async def test_an_agent_that_answers_pings_stays() -> None:
    pings = 0
    enough = asyncio.Event()

    def on_message(agent: StandInAgent, message: dict[str, Any]) -> None:
        nonlocal pings
        if message["t"] == "ping":
            agent.say({"t": "ok", "id": message["id"]})
            pings += 1
            if pings == 10:
                enough.set()

    async with linked(lambda: StandInAgent(on_message=on_message), pace=SHORT) as (_, events, _t):
        async with asyncio.timeout(20):
            await enough.wait()
    assert not [event for event in events.seen if isinstance(event, NodeDown)]


async def test_an_agent_that_never_falls_silent_hears_of_the_core_all_the_same() -> None:
    """An agent ends when its core says nothing for a minute, however much it sends itself."""
    pinged = asyncio.Event()
    agent = StandInAgent(on_message=lambda _, message: pinged.set() if _is_ping(message) else None)

    async def talk() -> None:
        while True:
            agent.say({"t": "sample", "seq": 1})
            await asyncio.sleep(SHORT.ping_s / 10)

    pace = replace(SHORT, ping_s=3600.0, silent_s=3600.0, word_s=0.1)
    async with linked(lambda: agent, pace=pace) as (_, events, _t):
        await events.wait(NodeReady)
        talking = asyncio.create_task(talk())
        async with asyncio.timeout(20):
            await pinged.wait()
        talking.cancel()


def _is_ping(message: dict[str, Any]) -> bool:
    return bool(message["t"] == "ping")


async def test_a_core_that_was_stopped_blames_nobody() -> None:
    async with linked(lambda: StandInAgent(on_message=answering()), pace=SHORT) as (_, events, _t):
        await events.wait(NodeReady)
        time.sleep(2 * SHORT.silent_s)  # noqa: ASYNC251  the whole process stands still
        for _ in range(20):
            await asyncio.sleep(SHORT.tick_s)
    assert not [event for event in events.seen if isinstance(event, NodeDown)]


# ── effects ────────────────────────────────────────────────────────────────────────────────────


async def test_effects_become_requests_and_answers_events() -> None:
    record = {"attempt": "j1.0.1", "state": "running", "pid": 9}
    claimed = {"t": "error", "code": "claimed", "text": "taken", "device": "GPU-1", "by": "bob"}
    answers = [{"record": record}, claimed]

    def on_message(agent: StandInAgent, message: dict[str, Any]) -> None:
        if message["t"] == "start":
            agent.say({"t": "ok", **answers.pop(0), "id": message["id"]})
        elif message["t"] == "stop":
            agent.say({"t": "error", "code": "unknown_attempt", "text": "", "id": message["id"]})
        elif message["t"] == "abandon":
            never = {"attempt": message["attempt"], "state": "never"}
            agent.say({"t": "ok", "record": never, "id": message["id"]})

    agent = StandInAgent(on_message=on_message)
    async with linked(lambda: agent) as (link, events, _):
        await events.wait(NodeReady)
        link.send(start())
        reported = await events.wait(AttemptReported)
        assert (reported.record.state, reported.record.pid) == ("running", 9)
        link.send(start("j1.0.2"))
        refused = await events.wait(StartRefused)
        assert (refused.code, refused.device) == ("claimed", "GPU-1")
        assert "bob" in refused.text
        link.send(StopAttempt("j9.0.1", 5.0, "stopped"))
        assert (await events.wait(AttemptUnknown)).attempt == "j9.0.1"
        link.send(AbandonAttempt("j2.0.1"))
        assert (await events.wait(AttemptReported)).record.state == "never"
        link.send(AckAttempts(("j1.0.1",)))
        link.send(GrantLease("j1.0.1", 4))
        link.send(AbandonAttempt("j2.0.2"))
        await events.wait(AttemptReported)
    first = agent.received[1]
    assert first["devices"] == [{"uuid": "GPU-1", "amount": 1.0}]
    assert (first["epoch"], first["argv"]) == (3, ["true"])
    assert {"t": "ack", "attempts": ["j1.0.1"]} in agent.received
    assert {"t": "grant", "attempt": "j1.0.1", "seq": 4} in agent.received


async def test_a_start_too_big_for_the_wire_is_refused_here() -> None:
    async with linked(StandInAgent) as (link, events, _):
        await events.wait(NodeReady)
        link.send(start(env={"X": "y" * (1 << 20)}))
        assert (await events.wait(StartRefused)).code == "too_big"


async def test_effects_without_a_link_are_dropped() -> None:
    async with linked(lambda: LinkFailure("refused", "r")) as (link, events, _):
        link.send(start())
        await events.wait(NodeDown)
        link.send(start())
    assert not [event for event in events.seen if isinstance(event, StartRefused)]


async def test_nonsense_for_an_answer_begins_the_link_anew() -> None:
    agents = iter([StandInAgent(on_message=answering(start={"record": 7}))])
    async with linked(lambda: next(agents, StandInAgent())) as (link, events, _):
        await events.wait(NodeReady)
        link.send(start())
        await events.wait(NodeDown)
        await events.wait(NodeReady)


async def test_pushes_become_events() -> None:
    agent = StandInAgent()
    async with linked(lambda: agent) as (_, events, _t):
        await events.wait(NodeReady)
        agent.say({"t": "sample", "cpu": 0.5, "gpus": [{"uuid": "GPU-1", "index": 0}]})
        agent.say({"t": "xid", "uuid": "GPU-1", "xid": 79, "text": "fell off the bus"})
        agent.say({"t": "renew", "attempt": "j1.0.1", "seq": 2})
        agent.say({"t": "who knows"})
        agent.say({"t": "attempt", "attempt": "j1.0.1", "state": "ended", "exit": {"code": 3}})
        assert (await events.wait(Sampled)).gpus[0].uuid == "GPU-1"
        assert (await events.wait(XidSeen)).xid == 79
        assert (await events.wait(LeaseAsked)).seq == 2
        ended = await events.wait(AttemptReported)
    assert ended.record.exit is not None
    assert ended.record.exit.code == 3


# ── who drives ─────────────────────────────────────────────────────────────────────────────────


async def test_an_observer_is_told_who_drives_and_asks_again() -> None:
    driven = hello(granted=False, driver={"core_id": "c2", "owner": "bob@desk", "since_at": 1})
    answers = iter([driven])
    make = lambda: StandInAgent(answer=next(answers, hello()))  # noqa: E731
    async with linked(make, pace=SHORT) as (_, events, _t):
        ready = await events.wait(NodeReady)
        assert (ready.granted, ready.driver) == (False, "bob@desk")
        assert (await events.wait(NodeReady)).granted
    assert not [event for event in events.seen if isinstance(event, NodeDown)]


async def test_take_over_connects_anew_and_says_so_once() -> None:
    driven = hello(granted=False, driver={"core_id": "c2", "owner": "bob@desk", "since_at": 1})
    answers = iter([driven])
    make = lambda: StandInAgent(answer=next(answers, hello()))  # noqa: E731
    async with linked(make) as (link, events, transport):
        assert not (await events.wait(NodeReady)).granted
        link.take_over()
        assert (await events.wait(NodeReady)).granted
        transport.agents[1].end()
        await events.wait(NodeReady)
        said = [agent.received[0]["takeover"] for agent in transport.agents]
    assert said == [False, True, False]


async def test_take_over_asked_for_during_a_connect_is_not_forgotten() -> None:
    driven = hello(granted=False, driver={"core_id": "c2", "owner": "bob@desk", "since_at": 1})
    answers = iter([driven])
    make = lambda: StandInAgent(answer=next(answers, hello()))  # noqa: E731
    async with linked(make) as (link, events, transport):
        await events.wait(NodeConnecting)
        await transport.opened.wait()
        link.take_over()
        assert not (await events.wait(NodeReady)).granted
        assert (await events.wait(NodeReady)).granted
    assert transport.agents[1].received[0]["takeover"] is True


async def test_a_fenced_core_hears_who_did_it_and_goes_on_watching() -> None:
    async with linked(StandInAgent) as (_, events, transport):
        await events.wait(NodeReady)
        transport.agents[0].say({"t": "fenced", "by": "bob@desk"})
        assert (await events.wait(NodeFenced)).by == "bob@desk"
        transport.agents[0].end()
        await events.wait(NodeReady)
    assert not [event for event in events.seen if isinstance(event, NodeDown)]


async def test_a_second_name_of_the_same_box_is_refused_and_left_alone() -> None:
    setup = Setup(agent_zip, log_keep_s=60.0, pace=FAST)
    async with linked(StandInAgent, setup=setup) as (_, events, _t):
        await events.wait(NodeReady)
        async with linked(StandInAgent, setup=setup, name="same") as (_l, others, transport):
            down = await others.wait(NodeDown)
            assert (down.code, down.status) == ("alias", NodeStatus.UNREACHABLE)
            assert "gpu1" in down.text
            for _ in range(20):
                await asyncio.sleep(0.001)  # longer than the longest wait of this pace
            assert transport.tries == 1


# ── logs and the end ───────────────────────────────────────────────────────────────────────────


async def test_a_tail_gives_data_gaps_and_the_end() -> None:
    def on_message(agent: StandInAgent, message: dict[str, Any]) -> None:
        if message["t"] == "tail":
            sub = message["sub"]
            agent.say({"t": "ok", "id": message["id"], "out": {"first": 5, "end": 8}})
            agent.say({"t": "gap", "sub": sub, "stream": "out", "from": 0, "to": 5})
            agent.say({"t": "log", "sub": sub, "stream": "out", "at": 5, "text": "abc"})
            agent.say({"t": "log", "sub": sub, "stream": "err", "at": 0, "b64": "/w=="})
            agent.say({"t": "eof", "sub": sub})

    async with linked(lambda: StandInAgent(on_message=on_message)) as (link, events, _):
        await events.wait(NodeReady)
        found = [event async for event in link.tail(TailRequest("j1.0.1", start={"out": 0}))]
    assert [(e["kind"], e["stream"], e["at"], e["to"]) for e in found] == [
        ("gap", "out", 0, 5),
        ("data", "out", 5, 8),
        ("data", "err", 0, 1),
        ("eof", "", 0, 0),
    ]
    assert found[2]["b64"] == "/w=="


async def test_a_tail_of_nothing_says_so_and_ends() -> None:
    unknown = {"t": "error", "code": "unknown_attempt", "text": "no such attempt here"}
    agent = StandInAgent(on_message=answering(tail=unknown))
    async with linked(lambda: agent) as (link, events, _):
        await events.wait(NodeReady)
        found = [event async for event in link.tail(TailRequest("j1.0.1"))]
    assert [(e["kind"], e["text"]) for e in found] == [
        ("notice", "no such attempt here"),
        ("eof", ""),
    ]


async def test_a_tail_breaks_with_its_link() -> None:
    agent = StandInAgent(on_message=answering())
    async with linked(lambda: agent) as (link, events, _):
        await events.wait(NodeReady)
        tail = link.tail(TailRequest("j1.0.1", follow=True))
        reading = asyncio.ensure_future(anext(tail))
        await asyncio.sleep(0)
        agent.end()
        with pytest.raises(ConnectionError):
            await reading


async def test_a_tail_without_a_link_fails_with_the_reason() -> None:
    async with linked(lambda: LinkFailure("auth", "no key was accepted")) as (link, events, _):
        await events.wait(NodeDown)
        with pytest.raises(ConnectionError, match="no key was accepted"):
            await anext(link.tail(TailRequest("j1.0.1")))


async def test_close_says_bye() -> None:
    agent = StandInAgent()
    async with linked(lambda: agent) as (link, events, _):
        await events.wait(NodeReady)
        await link.close(release=True, suspend_leases=True)
    assert agent.received[-1] == {"t": "bye", "release": True, "suspend_leases": True}
    assert not [event for event in events.seen if isinstance(event, NodeDown)]


# ── check ──────────────────────────────────────────────────────────────────────────────────────


async def test_check_of_a_node_that_is_down_names_the_phase() -> None:
    failure = LinkFailure("auth", "no key accepted for lab@gpu1", "login")
    async with linked(lambda: failure) as (link, events, _):
        await events.wait(NodeDown)
        rows = await link.check()
    assert [(row["name"], row["ok"]) for row in rows] == [
        ("reach", True),
        ("host key", True),
        ("login", False),
    ]
    assert rows[-1]["text"] == "no key accepted for lab@gpu1"


async def test_a_check_amid_tries_tells_the_end_of_one() -> None:
    """Whenever it comes, be it while the link tries again by itself."""

    class Slow(StandInTransport):
        async def open(self, turn: Turn) -> ByteStream:
            await asyncio.sleep(0.002)
            raise LinkFailure("python", "no python3 was found", "python")

    events = Events()
    setup = Setup(agent_zip, log_keep_s=60.0, pace=FAST)
    link = NodeLink("n", Slow(StandInAgent), CoreIdentity("c1", 3, "me"), None, events, setup)
    await events.wait(NodeDown)
    for wait in range(100):
        await asyncio.sleep(wait / 20_000)
        rows = await link.check()
        assert rows[-1]["text"] == "no python3 was found"
    await link.close(release=False, suspend_leases=False)


async def test_check_shows_the_way_the_agents_rows_and_the_clock() -> None:
    checks = [
        {"name": "disk", "ok": True, "text": "80 GB free"},
        {"name": "driver", "ok": None},
        {"name": "clock", "ok": True, "text": "1970-01-01 00:00:00 UTC", "at": 0},
        "nonsense",
    ]
    agent = StandInAgent(on_message=answering(check={"checks": checks}))
    async with linked(lambda: agent) as (link, events, _):
        await events.wait(NodeReady)
        rows = {row["name"]: row for row in await link.check()}
    assert "round trip" in rows["reach"]["text"]
    assert rows["python"]["ok"] is True
    assert rows["disk"]["text"] == "80 GB free"
    assert rows["driver"]["ok"] is None
    assert rows["clock"]["ok"] is None
    assert "behind" in rows["clock"]["text"]


async def test_a_driver_that_was_just_asked_is_waited_for() -> None:
    answers = [None, None, True]

    def on_message(agent: StandInAgent, message: dict[str, Any]) -> None:
        if message["t"] == "check":
            row = {"name": "nvml", "ok": answers.pop(0), "text": "2 × H100"}
            agent.say({"t": "ok", "checks": [row], "id": message["id"]})
        elif "id" in message:
            agent.say({"t": "ok", "id": message["id"]})

    async with linked(lambda: StandInAgent(on_message=on_message)) as (link, events, _):
        await events.wait(NodeReady)
        rows = {row["name"]: row for row in await link.check()}
    assert rows["nvml"]["ok"] is True
    assert answers == []


async def test_an_abandoning_that_failed_is_asked_for_again() -> None:
    answers = [
        {"t": "error", "code": "failed", "text": "disk"},
        {"t": "ok", "record": {"attempt": "j1.0.1", "state": "never", "nonce": "n1"}},
    ]

    def on_message(agent: StandInAgent, message: dict[str, Any]) -> None:
        if message["t"] == "abandon":
            agent.say({**answers.pop(0), "id": message["id"]})

    agent = StandInAgent(on_message=on_message)
    async with linked(lambda: agent, pace=replace(FAST, again_s=0.01)) as (link, events, _):
        await events.wait(NodeReady)
        link.send(AbandonAttempt("j1.0.1", "n1"))
        reported = await events.wait(AttemptReported)
    assert (reported.record.state, reported.record.nonce) == ("never", "n1")
    asked = [it["nonce"] for it in agent.received if it["t"] == "abandon"]
    assert asked == ["n1", "n1"]


async def test_a_stop_of_what_has_ended_tells_its_end_and_one_of_anothers_is_refused() -> None:
    ended = {"attempt": "j1.0.1", "state": "ended", "exit": {"code": 3}, "nonce": "n1"}
    answers = [{"t": "ok", "record": ended}, {"t": "error", "code": "taken", "text": "not yours"}]

    def on_message(agent: StandInAgent, message: dict[str, Any]) -> None:
        if message["t"] == "stop":
            agent.say({**answers.pop(0), "id": message["id"]})

    agent = StandInAgent(on_message=on_message)
    async with linked(lambda: agent) as (link, events, _):
        await events.wait(NodeReady)
        link.send(StopAttempt("j1.0.1", 1.0, "stopped", "n1"))
        reported = await events.wait(AttemptReported)
        assert reported.record.exit is not None
        assert reported.record.exit.code == 3
        link.send(StopAttempt("j1.0.2", 1.0, "stopped", "n2"))
        refused = await events.wait(StartRefused)
    assert (refused.attempt, refused.code, refused.text) == ("j1.0.2", "taken", "not yours")


async def test_the_records_that_follow_a_hello_are_part_of_it() -> None:
    first = {"attempt": "j1.0.1", "state": "running"}
    rest = [{"attempt": f"j{n}.0.1", "state": "running"} for n in range(2, 6)]
    follow: list[dict[str, Any]] = [{"t": "attempt", **record} for record in rest]
    follow.insert(1, {"t": "renew", "attempt": "j1.0.1", "seq": 7})
    follow.append({"t": "attempt", "attempt": "j6.0.1", "state": "lost"})

    class Agent(StandInAgent):
        def say(self, message: dict[str, Any]) -> None:
            super().say(message)
            if message["t"] == "hello":
                for after in follow:
                    super().say(after)

    agent = Agent(answer=hello(attempts=[first], more=len(rest)))
    async with linked(lambda: agent) as (_, events, _):
        ready = await events.wait(NodeReady)
        assert [it.attempt for it in ready.records] == [f"j{n}.0.1" for n in range(1, 6)]
        assert (await events.wait(LeaseAsked)).seq == 7
        assert (await events.wait(AttemptReported)).record.attempt == "j6.0.1"


async def test_a_hello_whose_rest_never_comes_is_no_hello(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flextui.core.adapters.greeting.HELLO_S", 0.05)
    agent = StandInAgent(answer=hello(more=2))
    async with linked(lambda: agent) as (_, events, _):
        down = await events.wait(NodeDown)
    assert "no hello" in down.text
