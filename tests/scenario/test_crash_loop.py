"""A service that can't live: it backs off, is given up with its last words and slows nothing."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from flextui.core.model.docs import EventDoc
from tests.bench.nodes import SshFleet
from tests.faults.work import workload
from tests.scenario.fleet import View, over, view

pytestmark = [pytest.mark.requires("sshd"), pytest.mark.timeout(300)]

CRASH = """
name: web
type: service
run: echo starting up; echo cannot bind port 8080 >&2; exit 3
workdir: /
resources: {cpus: 0.1}
restart: {attempts: 3, within: 10m, delay: 500ms, backoff: 2}
"""
WAITED_AT_MOST_S = 10.0


def storm(number: int) -> str:
    """A service that falls over as often as it may."""
    return (
        f"name: storm-{number}\ntype: service\nrun: exit 1\nworkdir: /\nresources: {{cpus: 0.01}}\n"
        "restart: {attempts: 500, within: 10m, delay: 50ms, backoff: 1}\n"
    )


def seconds(at: str | None) -> float:
    assert at is not None
    return datetime.fromisoformat(at).timestamp()


async def test_it_backs_off_and_is_given_up_with_its_last_lines(
    ssh_fleet: SshFleet, state_dir: Path
) -> None:
    node = ssh_fleet.add("n1")
    async with over(ssh_fleet, state_dir) as core, view(core) as seen:
        await seen.ready()
        await seen.submit(CRASH)
        await seen.until(lambda: "exit 3" in seen.reason("web"))
        doc = await seen.state("web", "failed")
        assert doc["reason"].startswith("crash loop: 4 failures in 10m, last exit 3")
        assert "cannot bind port 8080" in doc["reason"]
        attempts = doc["tasks"][0]["attempts"]
        waits = [
            seconds(after["placed_at"]) - seconds(before["ended_at"])
            for before, after in pairwise(attempts)
        ]
        assert len(waits) == 3
        for waited, least in zip(waits, (0.5, 1.0, 2.0), strict=True):
            assert waited >= least - 0.01  # times are told in milliseconds
        assert "cannot bind port 8080" in attempts[-1]["last_lines"]
        shown = await core.run("show", "web")
        assert "crash loop" in shown.out
        assert "cannot bind port 8080" in shown.out
        assert "starting up" in (await core.run("logs", "web")).out
        assert workload([node]) == []

        assert (await core.run("restart", "web", "--yes")).status == 0
        await seen.until(lambda: len(seen.attempts("web")) > 4)


async def test_nothing_else_is_slowed(ssh_fleet: SshFleet, state_dir: Path) -> None:
    ssh_fleet.add_many(("n1", "n2"))
    async with over(ssh_fleet, state_dir) as core, view(core) as seen:
        await seen.ready()
        storms = [f"storm-{number}" for number in range(5)]
        await seen.submit(*map(storm, range(len(storms))))
        await seen.until(lambda: all(len(falls(seen, it)) >= 3 for it in storms))
        before = sum(len(falls(seen, it)) for it in storms)
        for number in range(20):
            await seen.submit(f"name: job-{number}\nrun: 'true'\nresources: {{cpus: 0.1}}\n")
            doc = await seen.state(f"job-{number}", "succeeded")
            placed = seconds(doc["tasks"][0]["attempts"][0]["placed_at"])
            assert placed - seconds(doc["submitted_at"]) < WAITED_AT_MOST_S
        assert sum(len(falls(seen, it)) for it in storms) > before, "the storm went on meanwhile"
        ids = [seen.jobs[it]["id"] for it in storms]
        assert (await core.run("stop", *ids, "--yes", "--wait")).status == 0


def falls(seen: View, job: str) -> list[EventDoc]:
    """How often it fell, by the events: only the newest attempts are kept in sight."""
    job_id = seen.jobs[job]["id"] if job in seen.jobs else None
    return [it for it in seen.events if it["job"] == job_id and it["kind"] == "attempt.ended"]
