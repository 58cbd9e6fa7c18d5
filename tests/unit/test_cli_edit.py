"""edit, rollback and show --spec: the look before it is done, and that no text is lost."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from flextui.cli import output
from flextui.cli.root import run
from flextui.core.commands import CommandError, Plan, Revise, Revisions, Show, Source, Submit
from flextui.core.model.spec import read_specs
from flextui.core.model.yamlout import spec_text
from flextui.screens.editing.external import NoEditor, Scratch, editor_command
from flextui.screens.editing.review import effect_spans, field_lines, unified
from tests.screens.fake_client import job, task
from tests.unit.cli_fakes import FakeCore

OLD = "name: train\nrun: python train.py\nenv:\n  LR: '0.10'\n"
NEW = OLD.replace("0.10", "0.05")


def spec(text: str) -> dict[str, Any]:
    return read_specs(text, "test")[0].to_json()


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    doc = job(1, "train", "alice", "running", [task(0, "running", [])], spec=spec(OLD), revision=3)
    made = FakeCore(jobs=[doc])
    diff = [{"field": "env.LR", "old": "0.10", "new": "0.05", "effect": "restart"}]
    tasks = [{"index": 0, "node": "gpu1", "gpus": [], "restarts": ["env.LR"]}]
    plan = {"action": "revise", "revision": 3, "to": 4, "diff": diff, "tasks": tasks,
            "warnings": []}  # fmt: skip
    made.answers[Plan] = {"jobs": [plan]}
    done = {"id": "j1", "name": "train", "owner": "alice", "revision": 4, "state": "running"}
    made.answers[Revise] = {"job": done, "action": "revised", "diff": diff, "restarts": [0]}
    rows = [{"id": "j1", "revision": 3, "spec": spec(OLD)}, {"id": "j0", "revision": 1, "spec": {}},
            {"id": "j1", "revision": 2, "spec": spec(NEW)}]  # fmt: skip
    made.answers[Revisions] = {"job": "j1", "revisions": rows}
    return made


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *scripts: str) -> None:
    """An editor that does this at its first, second … run; the last one again and again."""
    program, count = tmp_path / "ed it", tmp_path / "count"
    body = "\n".join(f"if n == {at}: text = {it}" for at, it in enumerate(scripts))
    program.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\ncount = pathlib.Path({str(count)!r})\n"
        "n = int(count.read_text()) if count.exists() else 0\ncount.write_text(str(n + 1))\n"
        f"n = min(n, {len(scripts) - 1})\nfile = pathlib.Path(sys.argv[-1])\n"
        f"text = file.read_text()\n{body}\nfile.write_text(text)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VISUAL", f"'{program}' --wait")


def answers(monkeypatch: pytest.MonkeyPatch, *said: str) -> None:
    """A person at a terminal who says this."""
    lines = iter(said)
    monkeypatch.setattr(output, "is_terminal", lambda stream: stream is sys.stdin)
    monkeypatch.setattr(sys.stdin, "readline", lambda: next(lines) + "\n")


def left(tmp_path: Path) -> list[str]:
    return [file.read_text() for file in tmp_path.glob("flextui-edit-*/*.yaml")]


def test_an_edit_shows_what_it_does_asks_and_says_which_revision_it_was_made_from(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    editor(tmp_path, monkeypatch, "text.replace('0.10', '0.05')")
    answers(monkeypatch, "y")
    assert run(["edit", "train"], core.connect) == 0
    (command,) = [it for it in core.asked if isinstance(it, Revise)]
    assert (command.job, command.base) == ("j1", 3)
    assert "LR: '0.05'" in command.source.text
    said = capfd.readouterr()
    assert said.out == "j1 alice/train rev 4, 1 task starts anew\n"
    assert "-   LR: '0.10'\n+   LR: '0.05'\n" in said.err
    assert "restarts task 0: env.LR changed" in said.err
    assert "Apply alice/train revision 3 → 4? [y/N]" in said.err
    assert left(tmp_path) == []


def test_a_refused_text_comes_back_into_the_editor(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    editor(tmp_path, monkeypatch, "text + 'gpus: 2\\n'", "text.replace('gpus: 2', 'grace: 5s')")
    answers(monkeypatch, "y", "y")
    plan = core.answers[Plan]
    problem = {"file": "train.yaml", "line": 5, "column": 1, "message": "unknown field 'gpus'"}

    def checked(command: Plan) -> dict[str, Any]:
        if "gpus" in command.sources[0].text:
            raise CommandError("input", "no", problems=(problem,))
        return plan  # type: ignore[no-any-return]

    core.answers[Plan] = checked
    assert run(["edit", "train"], core.connect) == 0
    assert "train.yaml:5:1: unknown field 'gpus'" in capfd.readouterr().err
    command = next(it for it in core.asked if isinstance(it, Revise))
    assert command.source.text.endswith("grace: 5s\n")


def test_what_is_not_confirmed_is_kept(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    editor(tmp_path, monkeypatch, "text.replace('0.10', '0.05')")
    answers(monkeypatch, "n")
    assert run(["edit", "train"], core.connect) == 1
    (kept,) = left(tmp_path)
    assert "0.05" in kept
    assert "your text is kept in" in capfd.readouterr().err
    assert not any(isinstance(it, Revise) for it in core.asked)


def test_leaving_it_alone_changes_nothing(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "text")
    answers(monkeypatch)
    assert run(["edit", "train"], core.connect) == 0
    assert left(tmp_path) == []
    assert {type(it) for it in core.asked} == {Show}


def test_what_somebody_else_changed_meanwhile_is_shown(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    editor(tmp_path, monkeypatch, "text.replace('0.10', '0.05')", "text")
    answers(monkeypatch, "y", "y", "y")
    done = core.answers[Revise]

    def once(command: Revise) -> dict[str, Any]:
        if command.base == 3:
            other = spec(OLD + "priority: 70\n")
            core.jobs[0] = {**core.jobs[0], "revision": 4, "spec": other, "priority": 70}  # type: ignore[typeddict-unknown-key]
            raise CommandError("failed", "alice/train is at revision 4 by now")
        return done  # type: ignore[no-any-return]

    core.answers[Revise] = once
    assert run(["edit", "train"], core.connect) == 0
    assert [it.base for it in core.asked if isinstance(it, Revise)] == [3, 4]
    said = capfd.readouterr().err
    assert "what revision 4 changed meanwhile:" in said
    assert "+ priority: 70" in said


def test_from_a_file_it_is_for_scripts(core: FakeCore, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NEW)
    assert run(["edit", "train", "-f", str(tmp_path / "a.yaml"), "--yes"], core.connect) == 0
    assert core.asked[-1] == Revise("j1", Source(str(tmp_path / "a.yaml"), NEW), 0)
    assert run(["edit", "train"], core.connect) == 2  # no terminal, no file


def test_a_person_agrees_to_what_was_shown_and_to_nothing_that_came_since(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text(NEW)
    answers(monkeypatch, "y")
    assert run(["edit", "train", "-f", str(tmp_path / "a.yaml")], core.connect) == 0
    assert core.asked[-1] == Revise("j1", Source(str(tmp_path / "a.yaml"), NEW), 3)


def test_what_has_ended_is_submitted_again(core: FakeCore, tmp_path: Path) -> None:
    core.jobs[0] = {**core.jobs[0], "ended_at": "2026-11-23T12:30:00Z", "state": "failed"}
    core.answers[Submit] = {"jobs": [core.answers[Revise]["job"]]}
    (tmp_path / "a.yaml").write_text(NEW)
    assert run(["edit", "train", "-f", str(tmp_path / "a.yaml")], core.connect) == 0
    assert core.asked[1:] == [
        Plan((Source(str(tmp_path / "a.yaml"), NEW),), None),
        Submit((Source(str(tmp_path / "a.yaml"), NEW),)),
    ]


def test_a_rollback_is_an_edit_with_the_earlier_text(core: FakeCore) -> None:
    assert run(["rollback", "train", "--yes"], core.connect) == 0
    command = core.asked[-1]
    assert isinstance(command, Revise)
    assert (command.base, command.source) == (3, Source("revision 2", NEW))


def test_a_revision_that_never_was_is_named(
    core: FakeCore, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["rollback", "train", "--to", "9"], core.connect) == 2
    assert "has no revision 9; there is 2, 3" in capfd.readouterr().err


def test_show_prints_a_spec_that_can_be_handed_in(
    core: FakeCore, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["show", "train", "--spec"], core.connect) == 0
    assert capfd.readouterr().out == OLD
    assert run(["show", "train", "--rev", "2"], core.connect) == 0
    assert capfd.readouterr().out == NEW
    assert run(["show", "train", "--rev", "2", "--json"], core.connect) == 0
    assert json.loads(capfd.readouterr().out)["env"] == {"LR": "0.05"}


# ── pure ──


FULL = """\
name: a
type: service
run: |
  echo hi
  exec serve
resources:
  gpus: 2
  gpu_model: [a100, h100]
  gpu_memory: 40GiB
  cpus: 8
  memory: 64GiB
count: 3
where:
  rack: a
  prefer:
    link: nvlink
  placement: pack
  not:
    kind: desk
    node: [gpu2]
env:
  LR: '0.10'
  WHEN: on
restart:
  on: failure
  delay: 1.5s
on_node_loss:
  after: 1m30s
  fence: true
time_limit: 90061s
"""


def test_a_spec_reads_back_as_it_was_written() -> None:
    (read,) = read_specs(FULL, "test")
    assert spec_text(read.to_json()) == FULL
    assert spec_text(json.loads(read.to_text())) == FULL, "as the store has it"
    share = "name: b\nrun: [./serve, --port, '8000']\nresources:\n  gpu_share: 0.5\n"
    (read,) = read_specs(share, "test")
    assert spec_text(read.to_json()) == share


def test_the_text_of_a_job_has_the_replicas_and_priority_of_now() -> None:
    text = spec_text(spec("name: a\ntype: service\nrun: x\n"), {"count": 4, "priority": 60})
    assert text == "name: a\ntype: service\nrun: x\npriority: 60\ncount: 4\n"


def test_a_difference_has_its_place_and_its_surroundings() -> None:
    lines = [f"line {n}" for n in range(12)]
    new = [*lines[:5], "new", *lines[6:]]
    spans = unified("\n".join(lines), "\n".join(new))
    assert [(it.role, it.text) for it in spans] == [
        ("accent", "@ line 4"), ("dim", "  line 3"), ("dim", "  line 4"), ("del", "- line 5"),
        ("add", "+ new"), ("dim", "  line 6"), ("dim", "  line 7"),
    ]  # fmt: skip
    assert unified("a\n", "a\n") == []


def test_a_long_difference_is_told_by_its_length() -> None:
    spans = unified("x\n" * 9000, "y\n" * 8000)
    assert [it.text for it in spans] == ["- 9000 lines", "+ 8000 lines"]


def test_what_an_edit_does_to_tasks_reads_at_a_glance() -> None:
    anew = {"restarts": ["run", "env.LR"]}
    tasks: list[dict[str, Any]] = [{"index": n, **anew} for n in range(3)]
    assert effect_spans({"tasks": tasks})[0].text == "restarts all 3 tasks: run, env.LR changed"
    some = [*tasks[:1], {"index": 1, "stays": True}, {"index": 2, "ends": True}]
    assert [it.text for it in effect_spans({"tasks": some})] == [
        "restarts task 0: run, env.LR changed", "ends task 2", "1 run on",
    ]  # fmt: skip
    assert effect_spans({"tasks": [{"index": 0, "stays": True}]})[0].text == "nothing restarts"


def test_a_field_tells_when_it_takes_effect() -> None:
    rows = [{"field": "grace", "old": 30.0, "new": 5.0, "effect": "now"}]
    assert field_lines(rows)[0].text == "grace: 30s → 5s  (from now on, nothing restarts)"


def test_the_editor_is_the_users_with_its_arguments(tmp_path: Path) -> None:
    assert editor_command({"EDITOR": "vim -p", "VISUAL": " "}) == ["vim", "-p"]
    with pytest.raises(NoEditor, match="VISUAL"):
        editor_command({"VISUAL": "vim 'x"})


def test_an_editor_that_fails_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "false")
    scratch = Scratch("name: x\n")
    try:
        with pytest.raises(NoEditor, match="false ended with 1"):
            scratch.edit()
        assert scratch.read() == "name: x\n"
        assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o600
        monkeypatch.setenv("VISUAL", "/no/such/editor")
        with pytest.raises(NoEditor, match="set EDITOR"):
            scratch.edit()
    finally:
        scratch.done()


# ── rerun ──


def test_rerun_hands_the_same_spec_in_once_more(
    core: FakeCore, capfd: pytest.CaptureFixture[str]
) -> None:
    new = {"id": "j9", "name": "train", "owner": "alice", "revision": 1, "state": "pending",
           "reason": "starting on gpu1"}  # fmt: skip
    core.answers[Submit] = {"jobs": [new]}
    assert run(["rerun", "j1"], core.connect) == 0
    assert capfd.readouterr().out == "j9 alice/train pending: starting on gpu1\n"
    (handed,) = [it for it in core.asked if isinstance(it, Submit)]
    assert spec(handed.sources[0].text) == spec(OLD)
    assert run(["rerun", "j1", "--json"], core.connect) == 0
    told = json.loads(capfd.readouterr().out)
    assert told == [{"id": "j9", "name": "train", "revision": 1}]


def test_rerun_is_of_batch_jobs(core: FakeCore, capfd: pytest.CaptureFixture[str]) -> None:
    service = spec(OLD) | {"name": "web", "type": "service"}
    core.jobs = [job(1, "web", "alice", "running", [], spec=service, type="service")]
    assert run(["rerun", "web"], core.connect) == 2
    assert "web is a service job: `flextui restart web` starts it anew" in capfd.readouterr().err
    assert not any(isinstance(it, Submit) for it in core.asked)
