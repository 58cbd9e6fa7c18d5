"""Whose process it is: accounts, attempts, containers and the people behind them."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flextui.agent import containers
from flextui.agent.containers import Engines, container_id, namespace_owner, subordinate_owner
from flextui.agent.owners import COMMAND_BOUND, Owners
from flextui.agent.usage import SHORTEST_S, attempt_by_ancestry

ID = "0123456789abcdef" * 4
ME = pwd.getpwuid(os.getuid()).pw_name
PERSON = next((entry for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 60000), None)


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [
        (f"12:memory:/docker/{ID}\n0::/docker/{ID}", ID),
        (f"0::/system.slice/docker-{ID}.scope", ID),
        (f"0::/machine.slice/libpod-{ID}.scope/container", ID),
        (f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope", ID),
        (f"11:cpu:/kubepods/burstable/pod2f3c/{ID}", ID),
        (f"0::/kubepods.slice/kubepods-besteffort.slice/cri-containerd-{ID}.scope", ID),
        (f"0::/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope", ID),
        (f"0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}", ID),
        ("0::/lxc.payload.web/system.slice", "web"),
        (f"0::/machine.slice/libpod-conmon-{ID}.scope", None),
        ("0::/user.slice/user-1000.slice/session-3.scope", None),
        ("", None),
    ],
)
def test_the_container_is_told_by_the_cgroup(cgroup: str, expected: str | None) -> None:
    assert container_id(cgroup) == expected


@pytest.mark.parametrize(
    ("uid_map", "expected"),
    [
        ("         0       1003          1\n         1     100000      65536", 1003),
        ("         0          1          1\n         1       1003          1", 1003),
        ("         0          0 4294967295", None),
        ("         0     100000      65536", None),
        ("", None),
    ],
)
def test_a_rootless_namespace_names_its_account(uid_map: str, expected: int | None) -> None:
    assert namespace_owner(uid_map) == expected


def test_a_subordinate_uid_belongs_to_the_owner_of_its_range() -> None:
    subuid = "alice:100000:65536\nbroken\nbob:165536:65536\n0:900000:10\n"

    assert subordinate_owner(100999, subuid) == "alice"
    assert subordinate_owner(165536, subuid) == "bob"
    assert subordinate_owner(900001, subuid) == "root"
    assert subordinate_owner(99999, subuid) is None


def test_the_owner_of_a_container_is_found_by_label_home_or_file(tmp_path: Path) -> None:
    home = {"Mounts": [{"Source": "/etc"}, {"Source": "/home/PERSON/data"}]}
    assert containers.owner({"Config": {"Labels": {"flextui.owner": "carol"}}, **home}) == "carol"
    assert containers.owner({"Config": {"Labels": None}, "Mounts": None}) is None
    if PERSON is None:
        pytest.skip("this machine has no person's account")
    person, uid = PERSON.pw_name, PERSON.pw_uid
    home["Mounts"][1]["Source"] = f"/home/{person}/data"
    assert containers.owner({"Config": {}, **home}) == person
    compose = {"com.docker.compose.project.working_dir": f"/home/{person}/app"}
    assert containers.owner({"Config": {"Labels": compose}}) == person
    assert containers.owner({"Config": {"User": f"{uid}:{uid}"}}) == person
    assert containers.owner({"Config": {"User": person}}) == person
    assert containers.owner({"Config": {"User": "somebody-inside"}}) is None


@pytest.mark.requires("root")
def test_the_owner_of_a_mounted_folder_counts(tmp_path: Path) -> None:
    if PERSON is None:
        pytest.skip("this machine has no person's account")
    os.chown(tmp_path, PERSON.pw_uid, -1)

    assert containers.owner({"Mounts": [{"Source": str(tmp_path)}]}) == PERSON.pw_name


class Engine:
    """A container engine's socket: answers one kind of request, or stays silent."""

    def __init__(self, answer: dict[str, Any] | None) -> None:
        self.path = tempfile.mktemp(prefix="fx-engine-")
        self.asked: list[str] = []
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self.silent: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._answer is None:
                self.silent.append(connection)
                continue
            self.asked.append(connection.recv(4096).split()[1].decode())
            body = json.dumps(self._answer).encode()
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
            connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self.silent:
            connection.close()
        os.unlink(self.path)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return tmp_path


def write_process(proc: Path, pid: int, *, start: int = 5, **files: str) -> None:
    folder = proc / str(pid)
    folder.mkdir(exist_ok=True)
    fields = ["S", "1", *["0"] * 17, str(start), *["0"] * 30]
    (folder / "stat").write_text(f"{pid} (a (b) c) {' '.join(fields)}\n")
    (folder / "status").write_text(f"Name:\tx\nUid:\t{os.getuid()}\t0\t0\t0\n")
    for name, text in {"comm": "python", "cmdline": "python\0train.py\0", **files}.items():
        (folder / name).write_text(text)


def test_a_process_is_described_without_its_environment(proc: Path) -> None:
    environ = "SECRET=hush\0FLEXTUI_ATTEMPT=a17\0HOME=/root\0"
    write_process(proc, 7, environ=environ, cgroup="0::/session-3.scope")

    found = Owners(str(proc), Engines([])).describe(7)
    for work in ("cpu", "host_memory_bytes", "ran_s"):
        found.pop(work)

    assert found == {
        "pid": 7,
        "user": ME,
        "name": "python",
        "command": "python train.py",
        "attempt": "a17",
        "container": None,
    }
    assert "hush" not in json.dumps(found)


def test_what_a_process_takes_of_the_machine_is_told_from_the_second_look_on() -> None:
    owners = Owners(engines=Engines([]))
    first = owners.describe(os.getpid())
    assert first["cpu"] is None
    assert first["host_memory_bytes"] > 1 << 20

    until = time.monotonic() + SHORTEST_S
    while time.monotonic() < until:
        pass  # work: the process's own time is what is measured
    again = owners.describe(os.getpid())

    assert again["cpu"] > 0.0
    assert again["ran_s"] >= 0
    owners.keep_only([])
    assert owners.describe(os.getpid())["cpu"] is None


def test_of_a_process_that_is_gone_nothing_is_told(proc: Path) -> None:
    found = Owners(str(proc), Engines([])).describe(7)
    assert (found["cpu"], found["host_memory_bytes"], found["ran_s"]) == (None, None, None)


def test_a_pid_that_came_back_is_another_process(proc: Path) -> None:
    owners = Owners(str(proc), Engines([]))
    write_process(proc, 7, environ="FLEXTUI_ATTEMPT=a1\0")
    assert owners.describe(7)["attempt"] == "a1"
    write_process(proc, 7, environ="FLEXTUI_ATTEMPT=a2\0", cmdline="other\0")
    assert owners.describe(7)["attempt"] == "a1"
    write_process(proc, 7, start=6)

    assert owners.describe(7)["attempt"] == "a2"
    assert owners.describe(7)["command"] == "python train.py"


def test_a_long_command_is_cut_and_made_harmless(proc: Path) -> None:
    write_process(proc, 7, cmdline="sh\0-c\0\x1b[2J\nx" + "y" * 5000)

    command = Owners(str(proc), Engines([])).describe(7)["command"]

    assert command.startswith("sh -c  [2J x")
    assert len(command) == COMMAND_BOUND
    assert command.endswith("…")


def test_a_process_that_is_gone_or_hidden_has_empty_facts(proc: Path) -> None:
    found = Owners(str(proc), Engines([])).describe(99)

    assert (found["user"], found["command"], found["attempt"]) == ("", "", None)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(
        {
            "Id": ID,
            "Name": "/bob-notebook",
            "Config": {
                "Labels": {"owner": "bob"},
                "Env": ["TOKEN=hush", "FLEXTUI_ATTEMPT=a9"],
            },
        }
    )
    yield made
    made.close()


def test_a_container_gets_its_name_and_true_owner_from_the_engine(
    proc: Path, engine: Engine
) -> None:
    write_process(proc, 7, cgroup=f"0::/system.slice/docker-{ID}.scope")
    owners = Owners(str(proc), Engines(["/nowhere.sock", engine.path]))

    found = owners.describe(7)
    owners.describe(7)

    assert found["container"] == {"id": ID[:12], "name": "bob-notebook", "owner": "bob"}
    assert found["attempt"] == "a9"
    assert engine.asked == [f"/containers/{ID}/json"]
    owners.keep_only([])
    owners.describe(7)
    assert len(engine.asked) == 2


def test_an_engine_that_stays_silent_costs_little_and_is_asked_seldom(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "TIMEOUT_S", 0.05)
    silent = Engine(None)
    try:
        write_process(proc, 7, cgroup=f"0::/docker/{ID}", uid_map="0 1003 1\n1 100000 65536\n")
        owners = Owners(str(proc), Engines([silent.path]))
        write_process(proc, 8, cgroup=f"0::/docker/{ID[::-1]}")
        found = [owners.describe(pid) for pid in [7, 8] * 50]
    finally:
        silent.close()
    assert len(silent.silent) == 1

    assert found[0]["container"]["id"] == ID[:12]
    assert found[0]["container"]["name"] is None


@pytest.mark.parametrize("body", [b"", b"nonsense", b"HTTP/1.0 500 no\r\n\r\n{}"])
def test_an_engine_that_answers_nonsense_is_no_engine(body: bytes, tmp_path: Path) -> None:
    path = tempfile.mktemp(prefix="fx-engine-")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(body)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        assert containers.get(path, "/x") is None
        thread.join()
    os.unlink(path)


def test_a_descendant_of_a_supervisor_belongs_to_its_attempt() -> None:
    inner = "import sys, os; print(os.getpid(), flush=True); sys.stdin.read()"
    outer = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    with subprocess.Popen(
        [sys.executable, "-c", outer, inner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert attempt_by_ancestry(pid, {supervisor.pid: "a1"}) == "a1"
        assert attempt_by_ancestry(pid, {999_999_999: "a2"}) is None
        supervisor.communicate()
    assert attempt_by_ancestry(pid, {supervisor.pid: "a1"}) is None
