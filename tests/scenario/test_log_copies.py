"""Logs outlive their node: what ended there is read and searched when the node is gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.nodes import SshFleet
from tests.scenario.fleet import eventually, over, view

pytestmark = [pytest.mark.requires("sshd"), pytest.mark.timeout(300)]

FAILS = """
name: train
run: |
  for i in 1 2 3; do echo "step $i"; done
  echo 'ERROR: CUDA out of memory' >&2
  printf 'no newline here'
  exit 3
workdir: /
resources: {cpus: 0.1}
"""


async def test_what_ended_is_read_searched_and_told_when_its_node_is_gone(
    ssh_fleet: SshFleet, state_dir: Path
) -> None:
    node = ssh_fleet.add("n1")
    async with over(ssh_fleet, state_dir) as core, view(core) as seen:
        await seen.ready()
        (job,) = await seen.submit(FAILS)
        await seen.state("train", "failed")
        copy = core.folder / "logs" / f"{job}.0.1"
        await eventually((copy / "whole").exists, what="the log is copied")
        assert copy.stat().st_mode & 0o077 == 0
        node.power_off()
        await seen.until(lambda: seen.nodes["n1"]["state"] != "ready")

        whole = await core.run("logs", "train", "--stream", "out")
        assert whole.out == "step 1\nstep 2\nstep 3\nno newline here", whole.err
        merged = await core.run("logs", "train", "--json")
        lines = [json.loads(line) for line in merged.out.splitlines()]
        assert {it["text"] for it in lines} == {
            "step 1", "step 2", "step 3", "ERROR: CUDA out of memory", "no newline here",
        }  # fmt: skip
        assert all(it["node"] == "n1" and it["at"] for it in lines)
        assert [it["at"] for it in lines] == sorted(it["at"] for it in lines)
        found = await core.run("logs", "train", "--errors")
        assert found.out == "ERROR: CUDA out of memory\n", found.err
        some = await core.run("logs", "train", "--grep", "STEP 2", "-i", "-C", "1")
        assert some.out == "step 1\nstep 2\nstep 3\n", some.err
