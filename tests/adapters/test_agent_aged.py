"""Files vanish under a running attempt, as in a /var/tmp that is tidied by age."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.adapters.test_agent_sessions import alive, end_all, identity, record_of, until
from tests.bench.agent import DEADLINE_S, REPO, Agent, python


@pytest.mark.parametrize("replaced", [False, True])
def test_a_lock_file_that_is_gone_is_no_proof_of_a_dead_supervisor(
    state_dir: Path, replaced: bool
) -> None:
    """NODE.md, ending: only an attempt without its supervisor is killed as lost."""
    with Agent(state_dir) as agent:
        agent.hello()
        agent.start("a1", ["/bin/sleep", "100"])
    known = identity(state_dir, "a1")
    lock = next(state_dir.glob("root/*/*/a1/lock"))
    lock.unlink()
    if replaced:
        lock.touch()
    with Agent(state_dir) as agent:
        agent.hello()
        assert record_of(agent, "a1")["state"] == "running"
        assert agent.ask("ping")["t"] == "ok", "the first look at the locks is over"
        assert alive(known["pid"])
        assert lock.exists() == replaced
        os.kill(known["supervisor"]["pid"], signal.SIGKILL)
        assert agent.end_of("a1")["state"] == "lost"
        assert not alive(known["pid"])
    end_all(state_dir)


_LATE = """
import os, sys
sys.path.insert(0, {repo!r})
from flextui.agent import supervisor

def until_it_ended(step):
    if step == "opened":
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)

supervisor.main({line!r}, until_it_ended)
"""


def test_an_end_before_the_supervisor_listens_is_not_overheard(state_dir: Path) -> None:
    """The signal comes before anything wakes the loop, and a child keeps the output open."""
    with Agent(state_dir) as agent:
        agent.hello()
        home = next(state_dir.glob("root/*/core1-*"))
        request = {
            **agent.start_fields("a1", "sleep 100 & exit 3"),
            "core_dir": str(home),
            "core_id": agent.core_id,
            "user": "tester",
            "claims_dir": "/var/tmp/flextui-claims/test",
            "limit": None,
            "spawn": "1",
        }
        script = _LATE.format(repo=str(REPO), line=json.dumps(request).encode())
        with subprocess.Popen([python(), "-I", "-S", "-c", script]) as process:
            try:
                until(lambda: (home / "a1" / "identity.json").exists())
                assert agent.end_of("a1")["exit"]["code"] == 3
                assert process.wait(DEADLINE_S) == 0
            finally:
                process.kill()
                end_all(state_dir)
