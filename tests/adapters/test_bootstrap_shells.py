"""The boot command and loader, run by real shells and Pythons as sshd would run them."""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from flextui.agent.boot import tag
from flextui.core.adapters import bootstrap
from flextui.core.adapters.bootstrap import BootAnswer
from flextui.core.adapters.zipapp import AgentZip, agent_zip, compiled_table, pack
from tests.bench.gpus import FakeGpus

DEADLINE_S = 30.0
BOOT = Path(bootstrap.__file__).parents[2] / "agent" / "boot.py"
NOBODY = 65534
STAND_IN = b"""
import json, os, sys
def main():
    line = b""
    while not line.endswith(b"\\n"):
        line += os.read(0, 1)
    from . import part
    import pynvml
    said = {"heard": line.decode(), "python": list(sys.version_info[:2]), "part": part.VALUE,
            "file": part.__file__, "pynvml": pynvml.VALUE}
    os.write(1, json.dumps(said).encode() + b"\\n")
    return 7
"""


@pytest.fixture
def agent() -> Iterator[AgentZip]:
    """A zipapp like the real one, whose agent only says what it got; no test shares its digest."""
    made = pack(
        {
            "__main__.py": b"from flextui_agent.__main__ import main\n\nmain()\n",
            "flextui_agent/__init__.py": b"",
            "flextui_agent/__main__.py": STAND_IN,
            "flextui_agent/boot.py": BOOT.read_bytes(),
            "flextui_agent/part.py": b"VALUE = 'a part'\n",
            "flextui_agent/unique.py": b"VALUE = %r\n" % os.urandom(8),
            "pynvml.py": b"VALUE = 'of the zip'\n",
        }
    )
    yield made
    for left in Path(f"/var/tmp/flextui-cache-{os.geteuid()}").glob(f"*{made.sha256}*"):
        left.unlink(missing_ok=True)


@dataclass
class Boot:
    """What one start gave."""

    answer: BootAnswer | None
    noise: bytes
    said: dict[str, object]
    status: int
    stderr: str


def boot(
    command: list[str], agent: AgentZip, env: dict[str, str], *, send: bytes | None = None
) -> Boot:
    """Start the loader, answer its question, say hello; `send` replaces the zipapp's bytes."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **env},
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        answer, noise = None, b""
        try:
            _write(process.stdin, bootstrap.loader_line(agent.sha256, agent.size))
            while answer is None and (line := _line(process.stdout)):
                answer = bootstrap.parse_answer(line)
                noise += line if answer is None else line.partition(b"\x1e")[0]
            if answer is not None:
                if not answer.have:
                    _write(process.stdin, agent.data if send is None else send)
                _write(process.stdin, b'{"t": "hello"}\n')
            process.stdin.close()
        except BrokenPipeError:
            pass
        said = process.stdout.read()
        stderr = process.stderr.read().decode()
        status = process.wait(DEADLINE_S)
    return Boot(answer, noise, json.loads(said) if said else {}, status, stderr)


def _write(stream: IO[bytes], data: bytes) -> None:
    while data:
        data = data[stream.write(data) :]


def _line(stream: IO[bytes]) -> bytes:
    ready, _, _ = select.select([stream], [], [], DEADLINE_S)
    assert ready, "no line within the deadline"
    return stream.readline()


def wait_for(path: Path) -> Path:
    """Until a file of the cache is there: it is written after the session started."""
    poll = select.poll()
    for _ in range(int(DEADLINE_S * 100)):
        if path.exists():
            return path
        poll.poll(10)
    raise AssertionError(f"{path} wasn't written; there are {list(path.parent.iterdir())}")


def shell(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def loader(python: str = sys.executable) -> list[str]:
    return [python, *bootstrap.local_argv()[1:]]


@pytest.mark.parametrize("name", ["sh", "dash", "bash", "zsh", "fish", "csh", "tcsh", "ksh"])
def test_any_login_shell_starts_the_agent_whatever_its_rc_files_print(
    name: str, agent: AgentZip, tmp_path: Path
) -> None:
    program = shell(name)
    noise = "echo 'Welcome to gpu1!'; printf 'no newline'\n"
    for rc in (".bashrc", ".zshenv", ".cshrc", ".tcshrc"):
        (tmp_path / rc).write_text(noise)
    (tmp_path / ".config/fish").mkdir(parents=True)
    (tmp_path / ".config/fish/config.fish").write_text(noise)
    env = {"HOME": str(tmp_path), "BASH_ENV": str(tmp_path / ".bashrc")}

    result = boot([program, "-c", bootstrap.remote_command()], agent, env)

    assert result.answer is not None, result.stderr
    assert result.said["heard"] == '{"t": "hello"}\n'
    assert result.status == 7
    if name in ("bash", "zsh", "fish", "csh", "tcsh"):
        assert result.noise == b"Welcome to gpu1!\nno newline"


def test_the_zipapp_travels_once_then_the_compiled_table_serves(
    agent: AgentZip, tmp_path: Path
) -> None:
    env = {"HOME": str(tmp_path)}
    cache = tmp_path / ".cache/flextui"

    first = boot(loader(), agent, env)
    assert first.answer == BootAnswer(False, _version(), str(cache), "")
    assert first.said["part"] == "a part"
    assert first.said["pynvml"] == "of the zip"
    table = wait_for(cache / f"{agent.sha256}.{tag()}")
    assert wait_for(cache / f"{agent.sha256}.pyz").read_bytes() == agent.data

    second = boot(loader(), agent, env)
    assert second.answer == BootAnswer(True, _version(), str(cache), "")
    assert {**second.said, "file": ""} == {**first.said, "file": ""}
    (cache / f"{agent.sha256}.pyz").unlink()
    third = boot(loader(), agent, env)
    assert third.answer is not None
    assert third.answer.have
    assert third.said == second.said

    table.write_bytes(table.read_bytes()[:-9])
    fourth = boot(loader(), agent, env)
    assert fourth.answer is not None
    assert not fourth.answer.have
    assert fourth.said["part"] == "a part"


def test_the_table_that_travels_along_serves_its_own_python_only(
    agent: AgentZip, tmp_path: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(agent.data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    told = {**members, "flextui_agent/part.py": b"VALUE = 'compiled elsewhere'\n"}
    with_table = pack({**members, **compiled_table(told)})

    own = boot(loader(), with_table, {"HOME": str(tmp_path / "own")})
    other = boot(loader(python(3, 8)), with_table, {"HOME": str(tmp_path / "other")})

    assert own.said["part"] == "compiled elsewhere"
    assert other.said["part"] == "a part"
    for home, name in (("own", tag()), ("other", "cpython-38-3413")):
        wait_for(tmp_path / home / f".cache/flextui/{with_table.sha256}.{name}")
    again = boot(loader(), with_table, {"HOME": str(tmp_path / "own")})
    assert (again.said["part"], again.said["pynvml"]) == ("compiled elsewhere", "of the zip")


def test_a_damaged_zipapp_in_the_cache_is_replaced(agent: AgentZip, tmp_path: Path) -> None:
    cache = tmp_path / ".cache/flextui"
    cache.mkdir(parents=True)
    stored = cache / f"{agent.sha256}.pyz"
    stored.write_bytes(agent.data[:-1])

    result = boot(loader(), agent, {"HOME": str(tmp_path)})

    assert result.answer is not None
    assert not result.answer.have
    assert result.said["part"] == "a part"
    wait_for(cache / f"{agent.sha256}.{tag()}")
    assert stored.read_bytes() == agent.data


def test_another_python_on_the_same_home_reuses_the_zipapp(agent: AgentZip, tmp_path: Path) -> None:
    other = python(3, 8)
    env = {"HOME": str(tmp_path)}
    boot(loader(), agent, env)
    wait_for(tmp_path / f".cache/flextui/{agent.sha256}.pyz")

    result = boot(loader(other), agent, env)

    assert result.answer is not None
    assert result.answer.have
    assert result.said["python"] == [3, 8]
    wait_for(tmp_path / f".cache/flextui/{agent.sha256}.cpython-38-3413")
    again = boot(loader(other), agent, env)
    assert again.said["part"] == "a part"


def test_bytes_that_arrive_damaged_are_not_run(agent: AgentZip, tmp_path: Path) -> None:
    wrong = bytes(agent.size)

    result = boot(loader(), agent, {"HOME": str(tmp_path)}, send=wrong)

    assert result.said == {}
    assert "damaged" in bootstrap.explain_boot_failure(result.status, result.stderr)
    assert not list((tmp_path / ".cache/flextui").iterdir())


def test_a_cache_that_others_can_write_to_is_not_trusted(agent: AgentZip, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    cache = tmp_path / ".cache/flextui"
    boot(loader(), agent, env)
    wait_for(cache / f"{agent.sha256}.{tag()}")
    cache.chmod(0o777)

    result = boot(loader(), agent, env)

    assert result.answer is not None
    assert result.answer.cache is not None
    assert result.answer.cache != str(cache)
    wait_for(Path(result.answer.cache) / f"{agent.sha256}.{tag()}")


@pytest.mark.requires("root")
def test_where_nothing_can_be_written_it_runs_from_memory(agent: AgentZip) -> None:
    with taken_fallback(NOBODY) as folder:
        command = ["setpriv", "--reuid", str(NOBODY), "--clear-groups", *loader("/usr/bin/python3")]
        result = boot(command, agent, {"HOME": "/proc"})

    assert result.answer is not None
    assert result.answer.cache is None
    assert "kept in memory: /proc/.cache/flextui" in result.answer.text
    assert f"{folder} can be written by others" in result.answer.text
    assert result.said["part"] == "a part"
    assert result.said["pynvml"] == "of the zip"


@contextmanager
def taken_fallback(uid: int) -> Iterator[Path]:
    """The fallback cache of an account, made by somebody else before it."""
    folder = Path(f"/var/tmp/flextui-cache-{uid}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("minor", [6, 7])
def test_an_old_python_hands_over_to_a_newer_one(
    minor: int, agent: AgentZip, tmp_path: Path
) -> None:
    result = boot(loader(python(3, minor)), agent, {"HOME": str(tmp_path)})

    assert result.said["heard"] == '{"t": "hello"}\n', result.stderr
    assert result.said["python"] >= [3, 8]  # type: ignore[operator]


@pytest.mark.requires("root", "sshd")  # for unshare
@pytest.mark.parametrize("minor", [None, 6])
def test_a_node_without_a_usable_python_says_so(
    minor: int | None, agent: AgentZip, tmp_path: Path
) -> None:
    hide = "for p in /usr/bin/python3 /usr/local/bin/python3; do "
    hide += (
        '[ -e "$p" ] && mount --bind /dev/null $(readlink -f "$p"); done; export PATH=/nowhere; '
    )
    path = tmp_path / "old"
    path.mkdir()
    if minor is not None:
        (path / "python3").symlink_to(python(3, minor))
        hide += f"export PATH={path}; "
    command = ["unshare", "-m", "/bin/sh", "-c", hide + bootstrap.remote_command()]

    result = boot(command, agent, {"HOME": str(tmp_path)})

    assert result.answer is None
    said = bootstrap.explain_boot_failure(result.status, result.stderr)
    if minor is None:
        assert said.startswith("no python3 was found: install Python 3.8 or newer")
        assert "/nowhere" in said
    else:
        assert said.startswith("Python 3.8 or newer is needed")
        assert "Python 3.6" in said


def test_the_real_agent_starts_under_the_oldest_python_and_imports_little(tmp_path: Path) -> None:
    stored = tmp_path / "agent.pyz"
    stored.write_bytes(agent_zip().data)
    code = (
        f"import sys; sys.path.insert(0, {str(stored)!r}); import flextui_agent.__main__; "
        "import flextui_agent.gpus as gpus; print(gpus.__file__); print(*sys.modules)"
    )
    slim = code.replace("import flextui_agent.gpus as gpus; print(gpus.__file__); ", "")

    whole = subprocess.run([python(3, 8), "-ISc", code], capture_output=True, text=True, check=True)
    assert str(stored) in whole.stdout
    done = subprocess.run([python(3, 8), "-ISc", slim], capture_output=True, text=True, check=True)
    costly = {"re", "json", "typing", "socket", "subprocess", "enum", "collections", "hashlib"}
    assert not costly & set(done.stdout.split())


@pytest.mark.requires("gcc")
@pytest.mark.parametrize("version", [(3, 8), sys.version_info[:2]])
def test_the_real_agent_shows_its_gpus(
    version: tuple[int, int], fake_gpus: FakeGpus, tmp_path: Path
) -> None:
    real = agent_zip()
    fake_gpus.set_load(1, 88)
    fake_gpus.add_process(0, os.getpid(), 300)
    hello = {"t": "hello", "v": [1, 1], "core_id": "c1", "epoch": 1, "owner": "tester@bench"}
    hello |= {"node": "n1", "root": None, "sample_s": 0.1}
    with subprocess.Popen(
        loader(python(*version)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], **fake_gpus.env},
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdout = io.BufferedReader(process.stdout)  # type: ignore[type-var]
        _write(process.stdin, bootstrap.loader_line(real.sha256, real.size))
        answer = bootstrap.parse_answer(_line(stdout))
        assert answer is not None
        assert not answer.have
        _write(process.stdin, real.data + json.dumps(hello).encode() + b"\n")
        said = json.loads(stdout.readline())
        assert said["t"] == "hello", said
        while not (said["t"] == "sample" and said["nvml"] == "ok"):
            said = json.loads(stdout.readline())
        process.stdin.close()
        assert process.wait(DEADLINE_S) == 0

    assert [gpu["uuid"] for gpu in said["gpus"]] == fake_gpus.uuids
    assert said["gpus"][1]["utilization"] == 88
    assert [found["pid"] for found in said["gpus"][0]["processes"]] == [os.getpid()]


def _version() -> str:
    return "{}.{}.{}".format(*sys.version_info[:3])


def python(major: int, minor: int) -> str:
    """A Python of that version, from PATH or where pyenv keeps them."""
    name = f"python{major}.{minor}"
    kept = sorted(Path("/root/.pyenv/versions").glob(f"{major}.{minor}.*/bin/python"))
    kept += sorted(Path.home().glob(f".pyenv/versions/{major}.{minor}.*/bin/python"))
    found = str(kept[0]) if kept else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
