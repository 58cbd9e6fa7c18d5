"""The core's copies of logs: laid out as on a node, bounded; and clocks that are off put right."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flextui.agent import logs, tail
from flextui.core.adapters import shelf
from flextui.core.adapters.copyfile import SEGMENT, CopyFile
from flextui.core.adapters.logreader import LogReader
from flextui.core.copies import Copies
from flextui.core.logbook.times import stamp
from flextui.core.model.docs import LogEvent
from flextui.core.model.policy import Policy
from flextui.core.model.state import Attempt
from flextui.core.ports import SearchRequest, TailRequest
from tests.unit.core_kit import bench
from tests.unit.fake_fleet import FakeNode, inventory


def data(at: int, text: bytes, *marks: tuple[int, int], stream: str = "out") -> LogEvent:
    return {
        "kind": "data", "attempt": "j1.0.1", "node": "n", "stream": stream, "at": at,
        "to": at + len(text), "text": text.decode(), "marks": [list(it) for it in marks],
    }  # fmt: skip


def put(copy: CopyFile, *events: LogEvent, bound: int = 1 << 30) -> None:
    copy.append(events, [it["text"].encode() for it in events], bound=bound)


def test_the_agents_own_code_reads_a_copy(tmp_path: Path) -> None:
    copy = CopyFile(tmp_path / "j1.0.1")
    assert copy.prepare("n1") == {"out": 0, "err": 0}
    put(copy, data(100, b"one\n", (100, 5000)), data(104, b"two\n", (100, 5000), (104, 6000)))
    put(copy, data(0, b"bad\n", (0, 5500), stream="err"))
    assert copy.prepare("n1") == {"out": 108, "err": 4}
    folder = os.open(tmp_path / "j1.0.1", os.O_RDONLY)
    assert logs.extent(folder, "out") == (100, 108)
    assert tail.marks(folder, "out", 100, 8) == [(100, 5000), (104, 6000)]
    assert tail.at_time(folder, "out", 5500) == 104
    told = tail.Tail(folder, {"sub": 1, "credit": 1000, "streams": ["out"]})
    assert [it["t"] for it in iter(told.next, None)] == ["gap", "log", "eof"]
    told.close()


def test_the_newest_bytes_stay_within_the_bound(tmp_path: Path) -> None:
    copy = CopyFile(tmp_path / "j1.0.1")
    copy.prepare("n1")
    for n in range(6):
        put(copy, data(n * SEGMENT, b"x" * SEGMENT), bound=3 * SEGMENT)
    names = {it.name for it in (tmp_path / "j1.0.1").iterdir() if it.name[4:].isdigit()}
    assert names == {f"out.{n * SEGMENT}" for n in (3, 4, 5)}


def test_marks_go_with_the_bytes_that_they_are_of(tmp_path: Path) -> None:
    copy = CopyFile(tmp_path / "j1.0.1")
    copy.prepare("n1")
    for n in range(40):
        at = n * SEGMENT
        halves = ((at, n * 1000), (at + SEGMENT // 2, n * 1000 + 500))
        put(copy, data(at, b"x" * SEGMENT, *halves), bound=3 * SEGMENT)
    assert (tmp_path / "j1.0.1" / "out.marks").stat().st_size <= 7 * logs.MARK_SIZE
    folder = os.open(tmp_path / "j1.0.1", os.O_RDONLY)
    begin = 37 * SEGMENT
    assert tail.marks(folder, "out", begin, SEGMENT) == [
        (begin, 37_000), (begin + SEGMENT // 2, 37_500)
    ]  # fmt: skip
    os.close(folder)


def test_another_attempt_of_the_same_name_begins_anew(tmp_path: Path) -> None:
    copy = CopyFile(tmp_path / "j1.0.1")
    copy.prepare("n1")
    put(copy, data(0, b"old\n"))
    copy.finish()
    assert copy.prepare("n2") == {"out": 0, "err": 0}
    assert not copy.whole


class Channel:
    """A channel whose other side has another clock."""

    def __init__(self, ahead_s: float, mark: float | None = None) -> None:
        self._ahead = ahead_s
        self._marked = mark
        self.asked: list[dict[str, Any]] = []

    def open_tail(self, tail: Any) -> int:
        self._tail = tail
        return 1

    async def request(self, message: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(message)
        now = time.time() + self._ahead
        mark = [[0, now * 1000 if self._marked is None else self._marked]]
        self._tail.receive({"t": "log", "sub": 1, "stream": "out", "at": 0, "text": "a\n",
                            "marks": mark})  # fmt: skip
        self._tail.receive({"t": "eof", "sub": 1})
        return {"t": "ok", "now_at": now}

    def notify(self, message: dict[str, Any], *, bulk: bool = False) -> None: ...

    def close_tail(self, sub: int) -> None: ...


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0, 0.0])
async def test_a_clock_that_is_off_is_put_right(ahead_s: float) -> None:
    reader, channel = LogReader("n"), Channel(ahead_s)
    for _ in range(2):
        begin = time.time()
        ask = TailRequest("j1.0.1", since_ms=int(begin * 1000))
        events = [it async for it in reader.read(channel, ask)]  # type: ignore[arg-type]
        assert begin - 1 <= events[0]["marks"][0][1] / 1000 <= time.time() + 1
    there = channel.asked[1]["since_at"] / 1000 - begin
    assert abs(there - ahead_s) < 5


@pytest.mark.parametrize("ahead_s", [1e18, 9e10])
async def test_a_clock_beyond_the_calendar_leads_to_no_such_time(ahead_s: float) -> None:
    reader, channel = LogReader("n"), Channel(ahead_s, mark=5.0)
    ask = TailRequest("j1.0.1")
    events = [it async for it in reader.read(channel, ask)]  # type: ignore[arg-type]
    assert stamp(events[0]["marks"][0][1], "utc", 0.0)


async def test_one_log_that_cannot_be_copied_does_not_end_the_copying(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.copies.AT_ONCE", 1)
    node = FakeNode("n1", logs={"j2.0.1": "hello\n"})
    async with bench(state_dir, inventory("n1"), node) as made:
        tail = made.running.engine.sessions["n1"].tail

        async def sick(ask: TailRequest) -> AsyncIterator[LogEvent]:
            if ask.attempt == "j1.0.1":
                raise ValueError("what no node says")
            async for event in tail(ask):
                yield event | {"told": {"out": [0, 6]}}

        monkeypatch.setattr(made.running.engine.sessions["n1"], "tail", sick)
        for name in ("a", "b"):
            (job,) = await made.submit(f"name: {name}\nrun: exit 0\nresources: {{cpus: 1}}\n")
            await made.until(lambda s, job=job: job in s.recent)  # type: ignore[misc]
        copies = made.running.desk.copies
        assert copies is not None
        async with asyncio.timeout(10):
            while not copies.has("j2.0.1"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


NO_LINUX = """
import os, select, sys
sys.platform = "darwin"
for module, names in ((select, ("epoll", "EPOLLIN")), (os, ("O_PATH", "memfd_create"))):
    for name in names:
        vars(module).pop(name, None)
def refuse(event, given):
    if event in ("open", "os.listdir") and str(given[0]).startswith("/proc"):
        raise FileNotFoundError(2, "there is no /proc")
isdir = os.path.isdir
os.path.isdir = lambda path: not str(path).startswith("/proc") and isdir(path)
sys.addaudithook(refuse)
"""
"""What macOS lacks."""


async def test_copies_are_read_and_searched_where_there_is_no_linux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shelf._RUN.replace(";", "\n").replace("\n ", "\n")
    monkeypatch.setattr(shelf, "_RUN", NO_LINUX + run)
    copy = CopyFile(tmp_path / "j1.0.1")
    copy.prepare("n1")
    put(copy, data(0, b"one\ntwo\nthree\n", (0, 5000)))
    copy.finish()
    copies = shelf.Shelf(tmp_path)
    try:
        async with asyncio.timeout(30):
            read = [it async for it in copies.read(TailRequest("j1.0.1"))]
            assert "".join(it["text"] for it in read if it["kind"] == "data") == "one\ntwo\nthree\n"
            asked = SearchRequest(("j1.0.1",), ("out",), "^t", most=10)
            found = [it async for it in copies.read(asked)]
        assert sorted(at for it in found for at, _ in it.get("hits", ())) == [4, 8]
    finally:
        await copies.close()


async def test_a_full_disk_is_told_once_and_so_is_its_end(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "flextui.core.copies")
    full = [True]

    def append(*_: object, **__: object) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(CopyFile, "append", append)
    monkeypatch.setattr(Copies, "_try", append)
    node = FakeNode("n1", logs={f"j{n}.0.1": "hello\n" for n in range(1, 9)})
    async with bench(state_dir, inventory("n1"), node) as made:
        tail = made.running.engine.sessions["n1"].tail

        async def told(ask: TailRequest) -> AsyncIterator[LogEvent]:
            size = 0 if ask.attempt in ("j3.0.1", "j5.0.1") else 6  # it printed nothing new
            async for event in tail(ask):
                yield event | {"told": {"out": [0, size]}}

        monkeypatch.setattr(made.running.engine.sessions["n1"], "tail", told)
        copies = made.running.desk.copies
        assert copies is not None
        done: set[str] = set()
        copy = copies._copy

        async def noted(attempt: Attempt, most: int, *, ended: bool) -> None:
            await copy(attempt, most, ended=ended)
            done.add(attempt.id)

        monkeypatch.setattr(copies, "_copy", noted)
        for n in range(1, 9):
            full[0] = n < 7
            (job,) = await made.submit(f"name: a{n}\nrun: exit 0\nresources: {{cpus: 1}}\n")
            async with asyncio.timeout(20):
                while f"{job}.0.1" not in done:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        said = [it.levelname for it in caplog.records if it.name == "flextui.core.copies"]
        assert said == ["WARNING", "INFO"]
        assert not copies.trouble


@pytest.mark.parametrize(
    ("bound", "most", "keep", "left"),
    [(1000, 99, 3600.0, ["j3", "j4"]), (9999, 3, 3600.0, ["j2", "j3", "j4"]),
     (1999, 99, 250.0, ["j3", "j4"])],
    ids=["bytes", "number", "age"],
)  # fmt: skip
async def test_the_oldest_copies_leave_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int, most: int, keep: float,
    left: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("flextui.core.copies.MOST", most)
    policy = Policy(log_copies=bound, log_keep=keep)
    engine = SimpleNamespace(inventory=SimpleNamespace(policy=policy))
    copies = Copies(engine, tmp_path)  # type: ignore[arg-type]
    for n in range(5):
        (tmp_path / f"j{n}").mkdir()
        (tmp_path / f"j{n}" / "out.0").write_bytes(b"x" * 400)
        os.utime(tmp_path / f"j{n}", (time.time() - 500 + 100 * n,) * 2)
    copies._sizes = {f"j{n}": 400 for n in range(5)}
    await copies._keep_bound()
    assert sorted(it.name for it in tmp_path.iterdir()) == left
    assert [it for it in ("j0", "j4") if copies.has(it)] == ["j4"]
