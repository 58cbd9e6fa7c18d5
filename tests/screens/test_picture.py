"""Who holds what, as a picture: letters, marks, what a waiting job waits for, and its size."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from flextui.core.model.docs import JobDoc, PlacementDoc
from flextui.screens.fields import picture, placing
from flextui.screens.fields.picture import Codes, Marks, Scene
from flextui.screens.format import Span
from flextui.screens.widgets.picture import Picture
from tests.screens.answers import placement
from tests.screens.fake_client import A100, attempt, fleet_delta, gpu, job, node, task
from tests.screens.kit import running, shown, until


def holder(seq: int, name: str, *uuids: str, share: int = 0) -> JobDoc:
    one = attempt(f"j{seq}.0", 1, "running", "n1", gpus=list(uuids), share=share)
    return job(seq, name, "bob", "running", [task(0, "running", [one])])


def scene(jobs: list[JobDoc], marks: Marks | None = None) -> Scene:
    codes = Codes()
    held = picture.holdings(jobs)
    codes.take({it.job["id"]: it.job["name"] for of in held.values() for it in of})
    return Scene(held, codes, marks or Marks())


def text(name: str, gpus: list[Any], it: Scene, **more: Any) -> str:
    doc = node(name, gpus, **more)
    (line,) = picture.lines([doc], 100, it.codes.wide)
    return "".join(piece.span.text for piece in picture.pieces(line, it)).rstrip()


def test_each_job_has_a_letter_and_each_device_shows_who_holds_it() -> None:
    jobs = [holder(1, "train", "GPU-n1-0", "GPU-n1-1"), holder(2, "eval", "GPU-n1-2")]
    gpus = [gpu(0, A100, 80, 70), gpu(1, A100, 80, 70), gpu(2, A100, 80, 9), gpu(3, A100, 80, 0),
            gpu(4, A100, 80, 31, state="foreign", reason="carol 31GiB"),
            gpu(5, A100, 80, 0, state="cordoned", reason="by ann")]  # fmt: skip
    line = text("n1", gpus, scene(jobs))
    assert line.startswith("n1")
    assert "A100-80  t t e ·  ▒ ⊘" in line
    assert "t train×2  e eval" in line
    assert "▒4 carol 31GiB  ⊘5 by ann" in line


def test_several_on_one_device_and_one_on_a_cordoned_device_are_told() -> None:
    jobs = [holder(1, "a", "GPU-n1-0", share=500), holder(2, "b", "GPU-n1-0", share=250),
            holder(3, "c", "GPU-n1-1")]  # fmt: skip
    it = scene(jobs)
    gpus = [gpu(0, A100, 80, 70), gpu(1, A100, 80, 70, state="cordoned", reason="XID 79")]
    assert "+ c" in text("n1", gpus, it)
    doc = node("n1", gpus)
    assert picture.device(doc["gpus"][1], it).role == "warn"
    told = picture.about(doc, doc["gpus"][0], it, {"j1.0.1": "2h left"})
    assert "bob/a j1.0.1 50%, 2h left" in told
    assert "bob/b j2.0.1 25%" in told


def test_slices_stand_in_the_frame_of_their_gpu() -> None:
    slices = [gpu(n // 2, A100, 40, 0, mig="3g.40gb", parent=f"GPU-{n // 2}") for n in range(4)]
    for number, it in enumerate(slices):
        it["index"] = number
    assert "A100-80  · · │· · " in text("n1", slices, scene([])) + " "


def test_a_letter_is_of_the_name_stays_while_its_job_runs_and_is_free_after_it() -> None:
    codes = Codes()
    codes.take({"j1": "train", "j2": "tune", "j3": "eval"})
    assert [codes.letter(it) for it in ("j1", "j2", "j3")] == ["t", "T", "e"]
    codes.take({"j2": "tune", "j3": "eval", "j9": "test"})
    assert [codes.letter(it) for it in ("j2", "j3", "j9")] == ["T", "e", "t"]


@given(st.lists(st.text(max_size=9), min_size=1, max_size=300))
def test_letters_are_different_and_equally_wide(names: list[str]) -> None:
    codes = Codes()
    jobs = {f"j{n}": name for n, name in enumerate(names)}
    codes.take(jobs)
    letters = [codes.letter(key) for key in jobs]
    assert len(set(letters)) == len(jobs)
    assert {len(it) for it in letters} == {codes.wide}


@given(st.integers(0, 64), st.integers(40, 220))
def test_many_devices_go_on_in_the_next_line_and_all_are_there_once(count: int, width: int) -> None:
    doc = node("a-node-with-a-long-name", [gpu(n, A100, 80, 0) for n in range(count)])
    it = scene([])
    found = []
    for line in picture.lines([doc], width, 1):
        pieces = picture.pieces(line, it)
        found += [piece.at for piece in pieces if piece.at is not None]
        devices = pieces[: max((n for n, p in enumerate(pieces) if p.at is not None), default=1)]
        assert picture.length(devices) <= max(width, 40) + 2
    assert found == [at for n in range(count) for at in (n, n)]


def test_what_a_waiting_job_waits_for_is_marked() -> None:
    view = fleet_delta()
    jobs = [it for it in view["jobs"].values() if it]
    doc = cast(PlacementDoc, placement("j4"))
    held = picture.holdings(jobs)
    marks = placing.marks(doc, view["jobs"]["j4"], held)
    assert marks.ends == {f"GPU-gpu1-{n}" for n in range(6)}
    assert marks.goes == {f"GPU-gpu1-{n}" for n in range(8)}
    assert marks.notes["gpu2"] == Span("no H100", "dim")
    at = 1_795_520_400.0
    lines = placing.wants_lines(doc["wants"], held, doc["ends"], at)  # type: ignore[arg-type]
    assert "needs 8 GPUs: gpu4 7 of 8 usable" in lines
    assert any("goes to gpu1" in it and "bob/train" in it and "left" in it for it in lines)
    other = placing.marks(doc, view["jobs"]["j1"], held)
    assert (len(other.here), other.ends, other.notes) == (6, frozenset(), {})


def test_where_nobody_knows_who_ends_the_holders_are_named() -> None:
    wants: Any = {**placement("j4")["wants"], "places": []}
    wants["blocks"] = [{"code": "gpus_busy", "text": "", "nodes": ["n1"], "held_by": ["eve/x"]}]
    assert "its GPUs are held by eve/x" in placing.wants_lines(wants, {}, {}, 0.0)


async def test_the_list_and_the_picture_are_one() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("7")
        await until(pilot, lambda: "t*t*" in shown(app))
        await pilot.press("G")
        await until(pilot, lambda: "t!t!" in shown(app))
        assert "goes to gpu1" in shown(app)
        assert client.asked[-1].job == "j4"  # type: ignore[union-attr]
        await pilot.press("x", "tab")
        await until(pilot, lambda: isinstance(app.focused, Picture))
        await pilot.press("j", "l", "enter")
        await until(pilot, lambda: app.path[-1] == ("gpu", "gpu2", "1"))


async def test_the_mouse_finds_a_device() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("7")
        await until(pilot, lambda: "t*t*" in shown(app))
        row = next(n for n, line in enumerate(shown(app).split("\n")) if line.startswith(" gpu3"))
        column = shown(app).split("\n")[row].index("c") + 2
        await pilot.click("#picture", offset=(column, row - 1))
        await until(pilot, lambda: "gpu3:1" in shown(app))


async def test_wide_names_leave_the_devices_in_their_columns() -> None:
    doc = node("節点-機械学習-第一", [gpu(0, A100, 80, 0)])
    plain_doc = node("gpu1", [gpu(0, A100, 80, 0)])
    it = scene([])
    places = []
    for one in (doc, plain_doc):
        (line,) = picture.lines([one], 100, 1)
        pieces = picture.pieces(line, it)
        first = next(n for n, piece in enumerate(pieces) if piece.at is not None)
        places.append(sum(cell_len(piece.span.text) for piece in pieces[:first]))
    assert places[0] == places[1]
