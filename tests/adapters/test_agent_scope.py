"""An attempt in a systemd scope of its own, with a stand-in for systemd-run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.bench.agent import DEADLINE_S, REPO, Agent, python

_SYSTEMD_RUN = """#!/bin/sh
echo "$@" > {told}
env > {told}.env
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""

_RUN = (
    "import sys; sys.path.insert(0, {repo!r}); from flextui.agent import supervisor\n"
    "supervisor.main({line!r})"
)


def test_the_workload_runs_inside_the_scope_and_its_end_is_its_own(
    state_dir: Path, tmp_path: Path
) -> None:
    """NODE.md, the agent: systemd-run --user --scope, with the supervisor outside."""
    stand_in, told = tmp_path / "systemd-run", tmp_path / "told"
    stand_in.write_text(_SYSTEMD_RUN.format(told=told))
    stand_in.chmod(0o755)
    with Agent(state_dir) as agent:
        agent.hello()
        request = {
            **agent.start_fields("a1", "echo inside; exit 3", memory_bytes=1 << 30),
            "core_dir": str(next(state_dir.glob("root/*/core1-*"))),
            "core_id": agent.core_id,
            "user": "tester",
            "claims_dir": "/var/tmp/flextui-claims/test",
            "limit": "scope",
            "lease_age_s": 0.0,
            "spawn": "1",
        }
        line = json.dumps(request).encode()
        command = [python(), "-I", "-S", "-c", _RUN.format(repo=str(REPO), line=line)]
        path = f"{tmp_path}:{os.environ['PATH']}"
        subprocess.run(command, env={**os.environ, "PATH": path}, check=True, timeout=DEADLINE_S)
        end = agent.end_of("a1")
        assert (end["exit"]["code"], end["exit"]["why"]) == (3, "exit")
        assert end["limit"] == "scope"
        assert agent.log("a1")[0] == b"inside\n"
    assert "--user --scope" in told.read_text()
    assert "MemoryMax=1073741824" in told.read_text()
    assert f"XDG_RUNTIME_DIR=/run/user/{os.getuid()}" in Path(f"{told}.env").read_text()
