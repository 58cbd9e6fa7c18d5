"""Two people, two state directories, one inventory: one of them drives, and the other knows who."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.nodes import SshFleet
from tests.faults.work import traces, workload
from tests.scenario.fleet import Person, eventually, over, twin, view

pytestmark = [pytest.mark.requires("sshd"), pytest.mark.timeout(300)]

WEB = (
    "name: web\ntype: service\ncount: 2\nrun: exec sleep 9999\nworkdir: /\n"
    "resources: {cpus: 0.1}\ngrace: 1s\n"
)


def writes(name: str, node: str) -> str:
    """A job that leaves a trace on one node."""
    return (
        f"name: {name}\nrun: echo $FLEXTUI_JOB >> /var/tmp/ledger/{name}\nworkdir: /\n"
        f"where: {{node: {node}}}\nresources: {{cpus: 0.1}}\n"
    )


async def test_the_second_drives_nothing_until_it_takes_over(
    ssh_fleet: SshFleet, state_dir: Path, people: tuple[str, ...]
) -> None:
    nodes = ssh_fleet.add_many(("n1", "n2"))
    for node in nodes:
        (node.machine.var_tmp / "ledger").mkdir()
    state_dir.chmod(0o755)
    (state_dir / "alice").mkdir()
    alice = Person(ssh_fleet.write_home(state_dir / "alice"), "alice")
    async with over(ssh_fleet, state_dir) as first, view(first) as mine:
        await mine.ready()
        await mine.submit(WEB)
        await mine.until(lambda: all(mine.running_on("web", index) for index in (0, 1)))
        processes = workload(nodes)
        assert len(processes) == 2
        driver = (await first.run("whoami", "--json")).json["core"]

        inventory = state_dir / "i.yaml"
        folder = state_dir / "alice/core"
        async with twin(folder, inventory, alice) as second, view(second) as theirs:
            await theirs.until(
                lambda: all(it["state"] == "observed" for it in theirs.nodes.values())
            )
            shown = await second.run("nodes")
            head = driver.partition("@")[2]
            for name in ("n1", "n2"):
                said = f"{name} is driven by {driver}: use `flextui --connect {head}`"
                assert shown.out.count(said) == 1
            await theirs.until(lambda: theirs.nodes["n1"]["memory_used_bytes"] > 0)

            await theirs.submit(writes("late", "n1"), writes("never", "n2"))
            await theirs.until(lambda: driver in theirs.reason("late"))
            assert theirs.jobs["late"]["state"] == "pending"
            assert driver in (await second.run("why", "root/late")).out
            assert (await second.run("stop", "root/web", "--yes")).status == 2
            await mine.submit(writes("other", "n1"))
            await mine.state("other", "succeeded")
            assert traces(nodes, "late") == []

            assert (await second.run("takeover", "n1", "--yes")).status == 0
            await theirs.state("late", "succeeded")
            assert len(traces(nodes, "late")) == 1
            fenced = await mine.event("node.fenced", node="n1")
            assert "n1 was taken over by alice@" in fenced["text"]
            await mine.until(lambda: mine.nodes["n1"]["state"] == "observed")
            assert "alice@" in mine.nodes["n1"]["reason"], "as it was told, or seen since"
            assert theirs.jobs["never"]["state"] == "pending"
            assert mine.nodes["n2"]["state"] == "ready"

            await mine.submit(writes("fenced", "n1"))
            await mine.until(lambda: "alice@" in mine.reason("fenced"))
            task = next(it for it in mine.jobs["web"]["tasks"] if it["node"] == "n1")
            index = task["index"]
            await mine.until(
                lambda: [it["state"] for it in mine.attempts("web", index)] == ["running"]
            )  # unknown when the link broke, and seen again by the one that only looks on
            assert workload(nodes) == processes, "the workloads of the first go on"
            await first.kill()
            await first.start()
            async with view(first) as again:
                await again.ready("n2")
                await again.until(lambda: again.nodes["n1"]["state"] == "observed")
                assert (await second.run("shutdown", "--yes")).status == 0
                assert (await first.run("takeover", "n1", "--yes")).status == 0
                await again.state("fenced", "succeeded")
                await again.until(lambda: again.running_on("web", index) == "n1")
                assert workload(nodes) == processes
                assert traces(nodes, "never") == []
                assert (await first.run("stop", "web", "--yes", "--wait")).status == 0
                await eventually(lambda: not workload(nodes))
