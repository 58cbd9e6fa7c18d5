"""How logs are read: lines with their times, levels, merged pages, selections, what was found."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.core.commands import LogRequest
from flextui.core.logbook import levels, times
from flextui.core.logbook.hits import HitPages, Hits, around, search, smart_case, wish
from flextui.core.logbook.lines import LONGEST, Cutter, Line, folded, merged
from flextui.core.logbook.live import Live
from flextui.core.logbook.reader import LogPages
from flextui.core.logbook.selection import labels, select
from flextui.core.model.docs import JobDoc, LogEvent
from tests.screens.fake_client import START, attempt, job, task
from tests.screens.fake_log import FakeLog


def piece(
    text: str | bytes, at: int, marks: Sequence[tuple[int, float]] = (), **more: object
) -> LogEvent:
    data = text.encode() if isinstance(text, str) else text
    event = {
        "kind": "data", "attempt": "j1.0.1", "node": "n", "stream": "out", "at": at,
        "to": at + len(data), "text": data.decode("utf-8", "replace"),
        "marks": [list(mark) for mark in marks],
    }  # fmt: skip
    if isinstance(text, bytes):
        event["b64"] = base64.b64encode(data).decode()
    return {**event, **more}  # type: ignore[typeddict-item]


# ── lines ──


@given(st.lists(st.text("aé漢 \t", max_size=6), max_size=8), st.randoms(use_true_random=False))
def test_lines_are_whole_however_they_are_cut(lines: list[str], chance: random.Random) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    cutter, found, at = Cutter(), [], 0
    while at < len(data):
        size = chance.randrange(1, 9)
        found += cutter.feed(piece(data[at : at + size], at))
        at += size
    assert [it.text for it in found] == lines
    begins = [len("".join(f"{it}\n" for it in lines[:n]).encode()) for n in range(len(lines))]
    assert [it.pos for it in found] == begins


def test_a_line_came_when_its_first_byte_did() -> None:
    cutter = Cutter(since=5.0)
    first = cutter.feed(piece("a\nb\nhalf", 0, [(0, 100.0), (2, 200.0), (4, 300.0)]))
    then = cutter.feed(piece(" of it\nlast\n", 8, [(4, 300.0), (8, 400.0), (15, 500.0)]))
    assert [(it.text, it.at) for it in (*first, *then)] == [
        ("a", 100.0), ("b", 200.0), ("half of it", 300.0), ("last", 500.0),
    ]  # fmt: skip
    assert Cutter(since=5.0).feed(piece("no mark\n", 0))[0].at == 5.0


def test_progress_bars_look_as_on_a_terminal() -> None:
    assert folded("  0%|    |\r 50%|##  |\r100%|####|") == "100%|####|"
    assert folded("long text\rab") == "abng text"
    assert folded("text\r") == "text"
    cutter = Cutter()
    at = 0
    for n in range(5000):
        text = f"\r{n:5} of 5000"
        assert cutter.feed(piece(text, at)) == []
        at += len(text)
    assert [it.text for it in cutter.open_lines()] == [" 4999 of 5000"]
    assert [it.text for it in cutter.feed(piece("\n", at))] == [" 4999 of 5000"]


def test_a_line_of_100_mb_costs_neither_memory_nor_time() -> None:
    cutter, block = Cutter(), "x" * 32768
    for n in range(3200):
        assert cutter.feed(piece(block, n * 32768)) == []
    (line,) = cutter.feed(piece("end\nnext\n", 3200 * 32768))[:1]
    assert len(line.text) < LONGEST + 100
    assert line.text.endswith("(104,857,603 bytes in this line)")


def test_what_was_left_without_an_end_is_told_once() -> None:
    cutter = Cutter()
    assert cutter.feed(piece("half", 0)) == []
    assert [it.text for it in cutter.flush()] == ["half"]
    assert cutter.flush() == []


def test_bytes_that_are_no_text_and_gaps_are_shown() -> None:
    cutter = Cutter()
    assert [it.text for it in cutter.feed(piece(b"\xff\x00ok\n", 0))] == ["\ufffd\x00ok"]
    gap = piece("", 5, kind="gap", to=105)
    (line,) = cutter.feed(gap)
    assert "gap: 100 bytes" in line.text
    assert line.stream == "note"
    assert [it.pos for it in cutter.feed(piece("on\n", 105))] == [105]


def test_lines_that_come_late_go_to_their_place() -> None:
    lines = [Line(at, "a", "out", int(at), "") for at in (1.0, 2.0, 5.0)]
    assert merged(lines, [Line(3.0, "b", "out", 0, "")]) == 2
    assert [it.at for it in lines] == [1.0, 2.0, 3.0, 5.0]
    assert merged(lines, [Line(6.0, "b", "out", 1, "")]) == 4


# ── levels and times ──


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("2026-11-23 12:00:00 ERROR something", "error"), ("RuntimeError: CUDA error: no", "error"),
        ("Traceback (most recent call last):", "error"), ("[rank3]: ValueError: x", "error"),
        ("gpu1:123 NCCL WARN Call to connect failed", "error"), ("error: no such file", "error"),
        ('{"level": "error", "msg": "x"}', "error"), ("NVRM: Xid (PCI:0000): 79", "error"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory", "error"),
        ("finished with 0 errors", ""), ("errors: 0", ""), ("mirrored terror", ""),
        ("UserWarning: lr_scheduler", "warning"), ("WARN disk is slow", "warning"),
        ("DEBUG:root:x", "debug"), ("step 1 loss 2.1", ""),
    ],
)  # fmt: skip
def test_how_bad_a_line_is(text: str, level: str) -> None:
    assert levels.level(text) == level


def test_json_is_laid_out_with_what_stands_before_it() -> None:
    assert levels.pretty('12:00 {"a": [1, 2]}') == ["12:00", "{", '  "a": [', "    1,", "    2",
                                                    "  ]", "}"]  # fmt: skip
    assert levels.pretty("no {json") is None
    assert levels.pretty("plain") is None


def test_times_as_people_write_them() -> None:
    noon = time.mktime((2026, 11, 23, 12, 0, 0, 0, 0, -1))
    assert times.moment("10m", noon) == noon - 600
    assert times.moment("1h30m ago", noon) == noon - 5400
    assert times.moment("11:59", noon) == noon - 60
    assert times.moment("12:30:15.5", noon) == noon - 86_400 + 1815.5
    assert times.moment("2026-11-23 11:00", noon) == noon - 3600
    assert times.moment("2026-11-23T11:00:00Z", 0) == 1795431600.0
    for wrong in ("", "25:00", "12:60", "yesterday"):
        with pytest.raises(ValueError, match="expected a time"):
            times.moment(wrong, noon)


def test_how_much_of_a_log() -> None:
    assert times.last("10m") == (600.0, None)
    assert times.last("500") == (None, 500)
    assert times.last("1h or 500") == (3600.0, 500)
    with pytest.raises(ValueError, match="expected how long"):
        times.last("much")


def test_stamps_keep_their_width() -> None:
    at = 1795435200_123.0
    assert times.stamp(at, "utc", 0) == "12:00:00.123Z"
    for kind, width in times.WIDTHS.items():
        assert len(times.stamp(at, kind, at / 1000 + 9999)) == width == len(times.stamp(0, kind, 0))


# ── pages ──


class Several:
    """A client over several logs."""

    def __init__(self, *logs: FakeLog) -> None:
        self._logs = logs

    async def logs(self, request):  # type: ignore[no-untyped-def]
        for log in self._logs:
            mine = tuple(it for it in request.pieces if it.attempt == log.attempt)
            if mine or request.follow:
                async for event in log.events(replace(request, pieces=mine)):
                    yield event


def several(seed: int, count: int = 3) -> tuple[Several, list[Line], dict[tuple[str, str], float]]:
    """Logs with lines at random times; all lines as they belong; the streams."""
    chance = random.Random(seed)
    logs, lines = [], []
    for n in range(count):
        log = FakeLog(f"j1.{n}.1", f"gpu{n}")
        at = 1000.0
        for i in range(chance.choice((0, 3, 400, 900))):
            at += chance.choice((0.0, 1.0, 5.0, 400.0))
            log.print(f"{n}: {i}", at)
            lines.append(Line(at, log.attempt, "out", log.begins[-1], f"{n}: {i}", log.node))
        logs.append(log)
    return Several(*logs), sorted(lines), {(it.attempt, "out"): 0.0 for it in logs}


@pytest.mark.parametrize("seed", range(6))
async def test_pages_up_give_every_line_once_in_order(seed: int) -> None:
    client, lines, keys = several(seed)
    pages = LogPages(lambda: client)  # type: ignore[arg-type, return-value]
    await pages.open_tail(keys, lines=100, shown=50)
    assert pages.book.lines == lines[-50:]
    while await pages.up(70):
        assert pages.book.lines == lines[-len(pages.book.lines) :]
    assert pages.book.lines == lines


@pytest.mark.parametrize("seed", range(6))
async def test_a_window_around_a_time_grows_both_ways(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("book", "reader"):  # so that a page ends in the middle of a stream
        monkeypatch.setattr(f"flextui.core.logbook.{module}.PAGE", 300)
    client, lines, keys = several(seed)
    if not lines:
        return
    middle = lines[len(lines) // 2]
    pages = LogPages(lambda: client)  # type: ignore[arg-type, return-value]
    index = await pages.open_at(keys, middle.at, shown=20)
    assert pages.book.lines[index].at == middle.at
    while await pages.down(90):
        pass
    while await pages.up(90):
        pass
    assert pages.book.lines == lines


async def test_nobody_is_read_faster_than_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flextui.core.logbook.live.BOUND", 10)
    log = FakeLog("j1.0.1", "gpu1")
    for n in range(50):
        log.print(str(n))
    taken: list[str] = []
    live = Live(lambda key, node: Cutter(), lambda: None)
    request = LogRequest("j1", follow=True)
    running = asyncio.ensure_future(live.run(Several(log), [request], {}))  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        while not live.full:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert log.fresh.qsize() > 30, "the rest waits where it is"
        while len(taken) < 50:
            assert live.waiting <= 11
            taken += [it.text for it in live.take()]
            await asyncio.sleep(0)
    running.cancel()
    assert taken == [str(n) for n in range(50)]


async def test_what_left_the_window_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flextui.core.logbook.book.MOST", 300)
    monkeypatch.setattr("flextui.core.logbook.book.SPARE", 50)
    client, lines, keys = several(1)
    assert len(lines) > 400
    pages = LogPages(lambda: client)  # type: ignore[arg-type, return-value]
    await pages.open_tail(keys, lines=100, shown=100)
    await pages.up(400 - len(pages.book.lines))
    assert len(pages.book.lines) == 400
    assert pages.book.trim_top() == 150
    assert pages.book.lines == lines[-250:]
    while await pages.up(500):
        pass
    assert pages.book.lines == lines


async def test_what_was_found_comes_in_pages_too() -> None:
    client, lines, keys = several(4)
    wanted = [it for it in lines if it.text.endswith("7")]
    hits = await search(client, keys, wish("7$"))  # type: ignore[arg-type]
    assert hits.count == len(wanted) == len(hits.places)
    pages = HitPages(lambda: client, hits, 0)  # type: ignore[arg-type, return-value]
    await pages.open_at(None, 10)
    assert pages.lines == wanted[-10:]
    while await pages.up(15):
        pass
    assert pages.lines == wanted
    again = HitPages(lambda: client, hits, 0)  # type: ignore[arg-type, return-value]
    await again.open_at(wanted[5][:4], 3)
    while await again.down(20):
        pass
    while await again.up(20):
        pass
    assert again.lines == wanted


def test_around_a_hit_stand_lines_of_both_streams_of_its_attempt() -> None:
    lines = [Line(float(n), "a", ("out", "err")[n % 2], n, str(n)) for n in range(10)]
    lines.append(Line(4.5, "b", "out", 0, "another's"))
    found, begins = around(lines, {("a", "err", 5), ("a", "out", 6)}, 2)
    assert [it.text for it in found] == ["3", "4", "5", "6", "7", "8"]
    assert begins == {("a", "err", 3)}


def test_groups_around_hits_are_apart_where_something_is_left_out() -> None:
    out = [Line(float(n), "a", "out", n, str(n)) for n in (1, 2, 3, 19, 20, 21)]
    err = [Line(2.0, "a", "err", 7, "bad"), Line(20.0, "a", "err", 9, "worse")]
    jumps = {("a", "out", 1), ("a", "out", 19)}  # between the two of stderr was nothing else
    found, begins = around([*out, *err], {("a", "err", 7), ("a", "err", 9)}, 2, jumps)
    assert [it.text for it in found] == ["1", "bad", "2", "3", "19", "worse", "20", "21"]
    assert begins == {("a", "out", 1), ("a", "out", 19)}


async def test_what_comes_after_a_match_is_shown_around_it_too() -> None:
    lines = [Line(float(n), "a", "out", n, str(n)) for n in range(12)]
    pages = HitPages(lambda: None, Hits(), 1)
    assert [it.text for it in pages.come([lines[3]], lines[:4])] == ["2", "3"]
    assert [it.text for it in pages.come([], lines[:8])] == ["4"]
    assert [it.text for it in pages.come([lines[9]], lines[:10])] == ["8", "9"]
    assert pages.breaks == {("a", "out", 2), ("a", "out", 8)}
    assert [it.text for it in pages.lines] == ["2", "3", "4", "8", "9"]


def test_from_one_hit_to_the_next() -> None:
    hits = Hits()
    found = {"kind": "hits", "attempt": "a", "stream": "out", "count": 2, "text": ""}
    hits.take({**found, "hits": [[7.0, 70.0], [1.0, 10.0]]})  # type: ignore[typeddict-item]
    assert hits.next((0.0, "", "", 0)) == (10.0, "a", "out", 1)
    assert hits.next((10.0, "a", "out", 1)) == (70.0, "a", "out", 7)
    assert hits.next((70.0, "a", "out", 7)) is None
    assert hits.previous((70.0, "a", "out", 7)) == (10.0, "a", "out", 1)
    assert hits.number((70.0, "a", "out", 7)) == 2


def test_capitals_matter_where_there_are_any() -> None:
    assert smart_case("overflow")
    assert not smart_case("ERROR")
    assert smart_case(r"\Sloss\W")
    assert wish("!step").inverse
    assert wish("a(b").pattern == r"a\(b"


# ── selections ──


JOBS = {
    it["id"]: it
    for it in (
        job(1, "train", "bob", "running", [
            task(n, "running", [attempt(f"j1.{n}", 1, "failed", "gpu1", ended_at=START),
                                attempt(f"j1.{n}", 2, "running", f"gpu{n + 1}")]) for n in range(2)
        ]),
        job(2, "chat", "web", "running",
            [task(0, "running", [attempt("j2.0", 1, "running", "gpu1")])]),
    )
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "every", "attempts"),
    [
        (["j1"], None, ["j1.0.1", "j1.0.2", "j1.1.1", "j1.1.2"]),
        (["j1"], False, ["j1.0.2", "j1.1.2"]), (["j1.1"], False, ["j1.1.2"]),
        (["j1.0.1"], False, ["j1.0.1"]), (["@gpu1"], False, ["j1.0.2", "j2.0.1"]),
        (["j2", "j1.1", "j2"], False, ["j2.0.1", "j1.1.2"]), (["j9"], None, []),
    ],
)  # fmt: skip
def test_what_a_selection_means(words: list[str], every: bool | None, attempts: list[str]) -> None:
    assert list(select(JOBS, words, every=every).origins) == attempts


def many(jobs: int, tasks: int, attempts: int) -> dict[str, JobDoc]:
    return {
        f"j{n}": job(n, "train", "bob", "running", [
            task(t, "running", [attempt(f"j{n}.{t}", a + 1, "running", "gpu1")
                                for a in range(attempts)])
            for t in range(tasks)
        ])
        for n in range(jobs)
    }  # fmt: skip


def test_of_many_attempts_the_newest_are_shown_and_the_others_counted() -> None:
    few, lots = select(many(1, 4, 4), ["j0"]), select(many(1, 4, 5), ["j0"])
    assert (len(few.origins), few.older) == (16, 0)
    assert (list(lots.origins), lots.older) == ([f"j0.{t}.5" for t in range(4)], 16)
    assert "j0.0.2" in select(many(1, 4, 5), ["j0", "j0.0.2"]).origins


def test_of_too_many_jobs_the_first_are_shown_and_the_others_counted() -> None:
    jobs = many(70, 1, 1)
    found = select(jobs, list(jobs))
    assert (len(found.origins), found.left_out, len(found.follows)) == (64, 6, 64)


def test_what_has_to_be_followed() -> None:
    def follows(*words: str) -> list[tuple[str, tuple[int, ...], str | None, str]]:
        return [(it.job, it.tasks, it.attempt, it.node) for it in select(JOBS, words).follows]

    assert follows("j1") == [("j1", (), None, "")]
    assert follows("j1.1") == [("j1", (1,), None, "")]
    assert follows("j1.0.2") == [("j1", (), "j1.0.2", "")]
    assert follows("@gpu1") == [("j1", (), None, "gpu1"), ("j2", (), None, "gpu1")]


def test_origins_say_what_tells_them_apart() -> None:
    both = labels(select(JOBS, ["j1", "j2"], every=False).origins.values())
    assert both == {
        "j1.0.2": "train r0 #2 gpu1",
        "j1.1.2": "train r1 #2 gpu2",
        "j2.0.1": "chat gpu1",
    }
    assert labels(select(JOBS, ["j2"]).origins.values()) == {"j2.0.1": "r0 gpu1"}
