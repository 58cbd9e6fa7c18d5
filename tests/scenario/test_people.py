"""Several Unix users of one head: everybody sees all, and acts on one's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.accounts import as_account
from tests.bench.nodes import SshFleet, SshNode
from tests.faults.work import workload
from tests.scenario.fleet import Person, Twin, twin, view

pytestmark = [pytest.mark.requires("sshd"), pytest.mark.timeout(300)]

LONG = "run: exec sleep 9999\nresources: {cpus: 0.1}\nworkdir: /\n"


@pytest.fixture
def lab_group(people: tuple[str, ...]) -> Iterator[str]:
    name = "fxlab"
    subprocess.run(["groupadd", "-f", name], check=True)
    yield name
    subprocess.run(["groupdel", name], check=False, capture_output=True)


async def test_two_users_and_an_admin_through_the_shared_socket(
    ssh_fleet: SshFleet, state_dir: Path, people: tuple[str, ...], lab_group: str
) -> None:
    node = ssh_fleet.add("n1", user="dave")
    state_dir.chmod(0o755)
    root = Person(ssh_fleet.write_home(state_dir / "root"))
    alice, bob, carol = (Person(state_dir / name, name, [lab_group]) for name in people)
    dave = Person(state_dir / "dave", "dave")
    inventory = ssh_fleet.inventory(state_dir / "i.yaml", users={"admins": ["carol"]})
    inventory.chmod(0o644)
    shared = state_dir / "run" / "lab.sock"
    flags = ["--socket", str(shared), "--socket-group", lab_group]
    state = state_dir / "core"
    async with twin(state, inventory, root, flags=flags) as core, view(core) as seen:
        use = ("--socket", str(shared))
        for name, person in (("train", alice), ("eval", bob)):
            spec = state_dir / f"{name}.yaml"
            spec.write_text(f"name: {name}\n{LONG}")
            spec.chmod(0o644)
            assert (await core.run(*use, "submit", str(spec), by=person)).status == 0
            await seen.state(name, "running")
        listed = (await core.run(*use, "jobs", "--json", by=bob)).json
        assert {(it["owner"], it["name"]) for it in listed} == {("alice", "train"), ("bob", "eval")}

        assert (await core.run(*use, "jobs", by=dave)).status == 4, "not of the group"
        for account in (*people, "dave"):
            cant_read(state, account)
        for person, job in ((alice, "bob/eval"), (bob, "alice/train")):
            await refused(core, *use, "stop", job, "--yes", by=person)
            await refused(core, *use, "restart", job, "--yes", by=person)
            await refused(core, *use, "priority", job, "99", by=person)
        await refused(core, *use, "drain", "n1", by=alice)
        await refused(core, *use, "shutdown", "--yes", by=alice)
        assert jobs_on(node) == {seen.jobs["train"]["id"], seen.jobs["eval"]["id"]}

        assert (await core.run(*use, "stop", "eval", "--yes", "--wait", by=bob)).status == 0
        assert jobs_on(node) == {seen.jobs["train"]["id"]}
        done = await core.run(*use, "stop", "alice/train", "--yes", "--wait", by=carol)
        assert (done.status, jobs_on(node)) == (0, set())
        await seen.event("audit.stop", actor="carol", job=seen.jobs["train"]["id"])


def jobs_on(node: SshNode) -> set[str]:
    return {process.environment["FLEXTUI_JOB"] for process in workload([node])}


async def refused(core: Twin, *words: str, by: Person) -> None:
    done = await core.run(*words, by=by)
    assert (done.status, done.out) == (4, "")
    assert done.err.startswith("flextui: error:")


def cant_read(folder: Path, account: str) -> None:
    """Neither the state directory nor anything in it."""
    for path in (folder, *folder.iterdir()):
        words = [*as_account(account), "head", "-c1", str(path)]
        if path.is_dir():
            words = [*as_account(account), "ls", str(path)]
        tried = subprocess.run(words, capture_output=True, check=False)
        assert tried.returncode != 0, path
        assert b"Permission denied" in tried.stderr
