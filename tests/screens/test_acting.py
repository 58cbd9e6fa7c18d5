"""What a question says will happen, what can be taken back, and what the command log keeps."""

from __future__ import annotations

from flextui.core.commands import Drain, Stop, Unstop
from flextui.core.model.docs import JobDoc
from flextui.screens.commandline import line
from flextui.screens.effects import END, LISTED, named, of_drain, of_jobs, of_loss, of_others
from flextui.screens.grace import Grace
from flextui.screens.journal import KEPT, Journal
from flextui.screens.line import Line
from flextui.screens.view import View
from tests.screens.fake_client import attempt, fleet_delta, job, task


def fleet() -> View:
    view = View()
    view.apply(fleet_delta())
    return view


def one(name: str) -> JobDoc:
    return next(it for it in fleet().jobs.values() if it["name"] == name)


# ── what can be taken back ──


def test_the_newest_is_taken_back_first_and_what_is_done_not_at_all() -> None:
    now = 100.0
    grace = Grace(lambda: now)
    assert (grace.said, grace.take()) == ("", None)
    grace.add("stop bob/train", 10, [Unstop(("j1",))], [Stop(("j1",))])
    now = 103.5
    grace.add("drain gpu1", 10, [Drain("gpu1", False)], [Drain("gpu1")])
    assert grace.said == "drain gpu1 (+1) in 10s"
    taken = grace.take()
    assert taken is not None
    assert (taken.word, list(taken.undo)) == ("drain gpu1", [Drain("gpu1", False)])
    assert grace.said == "stop bob/train in 7s"
    now = 110.0
    assert (list(grace.waiting), grace.take(), grace.said) == ([], None, "")


# ── what will happen ──


def test_whose_jobs_they_are_is_said_where_they_are_not_ones_own() -> None:
    train, chat = one("train"), one("chat-api")
    assert of_others([train], "bob") == ""
    assert of_others([train], "eve") == "It is bob's, not yours."
    assert of_others([train, chat], "bob") == "Others' jobs are among them: web."


def test_what_runs_where_is_told_of_each_job() -> None:
    train, chat = one("train"), one("chat-api")
    assert of_jobs([train], END, fleet()).splitlines() == ["1 attempt on gpu1, 6 GPUs", END]
    assert of_jobs([one("llama-pre-2")], END, fleet()).startswith("nothing of it runs now\n")
    assert of_jobs([train, chat], END, fleet()).splitlines() == [
        END,
        "bob/train (j1): 1 attempt on gpu1, 6 GPUs",
        "web/chat-api (j2): 3 attempts on gpu3, 3 GPUs",
    ]


def test_who_waits_for_the_room_is_named() -> None:
    hold = job(9, "eval", "eve", "running",
               [task(0, "running", [attempt("j9.0", 1, "running", "gpu4")])])  # fmt: skip
    view = fleet()
    said = of_jobs([hold], END, view).splitlines()[-1]
    assert said == "Waiting for room there: bob/llama-pre-2."
    gone = job(8, "gone", "dan", "failed", [], reason="gpu4: no answer")
    view.jobs["j8"] = gone
    assert of_jobs([hold], END, view).splitlines()[-1] == said, "what failed waits for nothing"
    waits = one("llama-pre-2")
    assert "Waiting" not in of_jobs([hold, waits], END, view), "it goes as well"


def test_of_very_many_the_first_are_listed() -> None:
    jobs = [job(n, "many", "bob", "running", []) for n in range(LISTED + 5)]
    assert of_jobs(jobs, END, fleet()).splitlines()[-1] == "and 5 more"
    assert named("abcde") == "a, b, c, d and 1 more"


def test_what_a_drain_and_a_loss_do_is_told_node_by_node() -> None:
    view = fleet()
    nodes = [view.nodes[it] for it in ("gpu1", "gpu3", "gpu2")]
    assert of_drain(view, nodes).splitlines()[1:] == [
        "gpu1: finishes bob/train", "gpu3: moves web/chat-api", "gpu2: nothing runs",
    ]  # fmt: skip
    nightly = job(9, "nightly", "eve", "running", type="cron", tasks=[
        task(0, "running", [attempt("j9.0", 1, "running", "gpu2")])])  # fmt: skip
    view.jobs["j9"] = nightly
    assert of_drain(view, [view.nodes["gpu2"]]).endswith("gpu2: finishes eve/nightly")
    lost = of_loss(view, [view.nodes["gpu1"]])
    assert lost.splitlines() == [
        "Its work is replaced without waiting. It may run twice until gpu1 answers.",
        "gpu1: bob/train",
    ]
    assert of_loss(view, nodes).startswith("Their work is replaced without waiting.")


# ── the command log ──


def test_looking_again_is_one_entry_and_doing_again_is_two() -> None:
    journal = Journal()
    look, act = Line(("show", "j1")), Line(("stop", "--yes", "j1"))
    for at in (1.0, 2.0):
        journal.begin(at, look, "shown")
    for at in (3.0, 4.0):
        journal.end(journal.begin(at, act), "done")
    told = [(it.at, it.line, it.outcome) for it in journal.entries.values()]
    assert told == [(2.0, look, "shown"), (3.0, act, "done"), (4.0, act, "done")]


def test_the_oldest_entries_leave() -> None:
    journal = Journal()
    first = journal.begin(0.0, Line(("first",)))
    for n in range(KEPT):
        journal.begin(1.0, Line(("stop", str(n))))
    assert len(journal.entries) == KEPT
    journal.end(first, "done")
    assert str(first) not in journal.entries


def test_what_waits_is_said_in_the_command_too() -> None:
    assert line(Stop(("j1", "j2"), "broken", 10.0)) == Line(
        ("stop", "--yes", "--in", "10s", "--why", "broken", "j1", "j2")
    )
    assert line(Drain("gpu1", after_s=2.5)) == Line(("drain", "--in", "2.5s", "gpu1"))
    assert line(Drain("gpu1", False, "why", 5.0)) == Line(("undrain", "gpu1"))
