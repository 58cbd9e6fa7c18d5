"""Nodes as they are: whatever shell, rc file or disk they have, they work or say what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bench.nodes import SshFleet
from tests.faults.work import log_of
from tests.scenario.fleet import over, view

pytestmark = [pytest.mark.requires("sshd"), pytest.mark.timeout(300)]

FISH, CSH = "/usr/bin/fish", "/bin/csh"

WORK: dict[str, dict[str, Any]] = {
    "noisy": {"noise": "Welcome! Today is patch day.", "banner": "Authorised users only.\n"},
    "fish": {"shell": FISH, "noise": "fish says hello"},
    "csh": {"shell": CSH, "noise": "csh says hello"},
    "readonly": {"home_disk": "readonly"},
    "noexec": {"home_disk": "noexec", "tmp_disk": "noexec"},
    "fullhome": {"home_disk": "full"},
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nopython": ({"python": "missing"}, "Python 3.8 or newer"),
    "full": ({"home_disk": "full", "tmp_disk": "full"}, "No space left on device"),
    "allreadonly": ({"home_disk": "readonly", "tmp_disk": "readonly"}, "Read-only file system"),
}


async def test_it_works_or_its_line_says_what_is_wrong(
    ssh_fleet: SshFleet, state_dir: Path
) -> None:
    fit = [name for name, options in WORK.items() if Path(options.get("shell", "/bin/sh")).exists()]
    for name in fit:
        ssh_fleet.add(name, **WORK[name])
    for name, (options, _) in WRONG.items():
        ssh_fleet.add(name, **options)
    async with over(ssh_fleet, state_dir) as core, view(core) as seen:
        await seen.ready(*fit)
        await seen.submit(
            *(
                f"name: on-{name}\nrun: echo {name} speaks; exit 3\nworkdir: /\n"
                f"where: {{node: {name}}}\nresources: {{cpus: 0.1}}\n"
                for name in (*fit, *WRONG)
            )
        )
        for name in fit:
            doc = await seen.state(f"on-{name}", "failed")
            assert doc["exit_code"] == 3
            assert await log_of(seen.client, f"on-{name}") == f"{name} speaks\n"
        for name, (_, said) in WRONG.items():
            await seen.event("node.unreachable", node=name)
            assert said in seen.nodes[name]["reason"]
            assert seen.jobs[f"on-{name}"]["state"] == "pending"
            assert name in seen.reason(f"on-{name}")
        shown = await core.run("nodes")
        lines = {line.split()[0]: line for line in shown.out.splitlines()}
        for name, (_, said) in WRONG.items():
            assert said in lines[name]
        checked = await core.run("check")
        assert checked.status == 1
        for _, said in WRONG.values():
            assert said in checked.out
