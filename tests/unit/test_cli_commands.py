"""Each command: what it asks of the core, what it prints, and the status it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flextui.cli.root import run
from flextui.cli.verb import Need
from flextui.core.commands import (
    Check,
    CommandError,
    Cordon,
    Drain,
    Hold,
    ListEvents,
    Plan,
    Release,
    Restart,
    Scale,
    SetPriority,
    Shutdown,
    Source,
    Stop,
    Submit,
    TakeOver,
    Unstop,
    WhoAmI,
    Why,
)
from tests.screens.fake_client import attempt, fleet_delta, gpu, job, node, task
from tests.unit.cli_fakes import FakeCore, piece, view

Captured = pytest.CaptureFixture[str]
ENDED = "2026-11-23T12:30:00Z"
RUNNING = job(1, "train", "alice", "running", [task(0, "running", [])])
DONE = job(
    1, "train", "alice", "succeeded", [task(0, "succeeded", [])], ended_at=ENDED, exit_code=0
)
KILLED = job(2, "eval", "alice", "failed", [task(0, "failed", [])], ended_at=ENDED, exit_code=137)
SPEC = "name: hello\nrun: echo hello\n"


@pytest.fixture
def core() -> FakeCore:
    delta = fleet_delta()
    return FakeCore(
        jobs=[it for it in delta["jobs"].values() if it],
        nodes=[it for it in delta["nodes"].values() if it],
    )


def submitted(**more: object) -> dict[str, object]:
    base = {"id": "j1", "name": "hello", "owner": "alice", "revision": 1, "state": "pending"}
    return {"jobs": [{**base, "reason": "needs 8 GPUs", "diff": [], **more}]}


# ── submit, plan, validate ──


def test_submit_sends_the_files_as_they_are_and_starts_a_core(
    core: FakeCore, tmp_path: Path, capfd: Captured
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(SPEC)
    core.answers[Submit] = submitted()
    assert run(["submit", str(file)], core.connect) == 0
    assert core.asked == [Submit((Source(str(file), SPEC),))]
    assert core.needs == [Need.START]
    assert capfd.readouterr().out == "j1 alice/hello pending: needs 8 GPUs\n"


def test_submit_json_is_id_name_and_revision(
    core: FakeCore, tmp_path: Path, capfd: Captured
) -> None:
    (tmp_path / "job.yaml").write_text(SPEC)
    core.answers[Submit] = submitted(revision=4)
    assert run(["submit", "--json", str(tmp_path / "job.yaml")], core.connect) == 0
    assert json.loads(capfd.readouterr().out) == [{"id": "j1", "name": "hello", "revision": 4}]


def test_submit_wait_ends_with_the_first_failure_in_the_order_given(
    core: FakeCore, tmp_path: Path, capfd: Captured
) -> None:
    (tmp_path / "job.yaml").write_text(SPEC)
    jobs = [submitted()["jobs"][0], submitted(id="j2")["jobs"][0], submitted(id="j3")["jobs"][0]]  # type: ignore[index]
    core.answers[Submit] = {"jobs": jobs}
    third = job(3, "late", "alice", "failed", [], ended_at=ENDED, exit_code=9)
    core.deltas = [view(RUNNING, full=True), view(third), view(DONE), view(KILLED)]
    core.jobs = [RUNNING, KILLED | {"state": "running", "ended_at": None}, third]  # type: ignore[list-item]
    assert run(["submit", "--wait", str(tmp_path / "job.yaml")], core.connect) == 137


def test_every_problem_of_a_refused_spec_is_told_on_its_line(
    core: FakeCore, tmp_path: Path, capfd: Captured
) -> None:
    (tmp_path / "job.yaml").write_text(SPEC)
    problem = {"file": "job.yaml", "line": 3, "column": 7, "message": "unknown field 'gpu'",
               "expected": "", "nearest": "gpus"}  # fmt: skip
    core.answers[Submit] = CommandError(
        "input", "2 problems; nothing was changed", problems=(problem, {**problem, "line": 5})
    )
    assert run(["submit", str(tmp_path / "job.yaml")], core.connect) == 2
    assert capfd.readouterr().err.splitlines() == [
        "flextui: error: 2 problems; nothing was changed",
        "job.yaml:3:7: unknown field 'gpu'; did you mean 'gpus'?",
        "job.yaml:5:7: unknown field 'gpu'; did you mean 'gpus'?",
    ]


def test_files_that_are_no_text_never_reach_the_core(
    core: FakeCore, tmp_path: Path, capfd: Captured
) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    assert run(["submit", str(tmp_path / "latin.yaml"), "/nowhere/x.yaml"], core.connect) == 2
    err = capfd.readouterr().err
    assert "latin.yaml:1:10: the byte 0xe9 is not UTF-8" in err
    assert "/nowhere/x.yaml:1:1: can't be read" in err
    assert core.asked == []


def test_plan_tells_where_tasks_go_and_warns_on_stderr(
    core: FakeCore, tmp_path: Path, capfd: Captured
) -> None:
    (tmp_path / "job.yaml").write_text(SPEC)
    tasks = [
        {"index": 0, "node": "gpu1", "gpus": [0, 1], "reason": ""},
        {"index": 1, "node": None, "gpus": [], "reason": "no free GPU"},
    ]
    changed = [{"field": "run", "old": "a", "new": "b"}]
    core.answers[Plan] = {
        "jobs": [{"name": "hello", "action": "revise", "tasks": tasks, "diff": changed,
                  "warnings": ["may run twice until gpu1 answers"]}]
    }  # fmt: skip
    assert run(["plan", str(tmp_path / "job.yaml")], core.connect) == 0
    out, err = capfd.readouterr()
    assert "hello: new revision\n  run: a -> b\n" in out
    assert "gpu1" in out
    assert "0,1" in out
    assert "no free GPU" in out
    assert err == "flextui: warning: hello: may run twice until gpu1 answers\n"


def test_validate_needs_no_core_and_tells_all(tmp_path: Path, capfd: Captured) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(SPEC)
    bad.write_text("name: Hello\nrun: x\nprioritty: 3\n")
    assert run(["validate", str(good)]) == 0
    assert capfd.readouterr().out == f"ok {good}: hello (batch)\n"
    assert run(["validate", str(good), str(bad)]) == 2
    out, err = capfd.readouterr()
    assert out == f"ok {good}: hello (batch)\n"
    assert f"{bad}:1:7:" in err
    assert f"{bad}:3:1:" in err
    assert "did you mean 'priority'?" in err


# ── run ──


def test_run_copies_the_output_and_ends_with_the_jobs_status(
    core: FakeCore, capfd: Captured
) -> None:
    core.answers[Submit] = submitted()
    core.log = [piece("hello\n"), piece("oh no\n", stream="err")]
    core.deltas = [view(RUNNING, full=True), view(KILLED | {"id": "j1"})]  # type: ignore[arg-type]
    assert run(["run", "--gpus", "1", "--", "python", "x.py", "--help"], core.connect) == 137
    out, err = capfd.readouterr()
    assert out == "hello\n"
    assert err.startswith("oh no\n")
    sent = core.asked[0]
    assert isinstance(sent, Submit)
    spec = json.loads(sent.sources[0].text)
    assert spec["run"] == ["python", "x.py", "--help"]
    assert spec["resources"] == {"gpus": 1}
    assert spec["name"] == "run-python"


def test_run_options_make_a_spec_that_is_valid(core: FakeCore, capfd: Captured) -> None:
    from flextui.core.model.spec import read_specs

    core.answers[Submit] = submitted()
    line = ["run", "--detach", "--gpus", "2", "--gpu-model", "a100", "--gpu-model", "h100",
            "--gpu-memory", "40GiB", "--cpus", "1.5", "--memory", "8GiB", "--where", "rack=a",
            "--where", "node=gpu1", "--env", "A=b=c", "--time-limit", "4h", "--priority", "7",
            "--workdir", "/data", "--grace", "5s", "--", "sh", "-c", "ü 😀 \x01"]  # fmt: skip
    assert run(line, core.connect) == 0
    assert capfd.readouterr().out == "j1\n"
    sent = core.asked[0]
    assert isinstance(sent, Submit)
    (spec,) = read_specs(sent.sources[0].text, "run")
    assert spec.run == ("sh", "-c", "ü 😀 \x01")
    assert spec.resources.gpu_model == ("a100", "h100")
    assert spec.resources.cpus == 1.5
    assert spec.where.labels == {"rack": "a"}
    assert spec.where.node == ("gpu1",)
    assert spec.env == {"A": "b=c"}
    assert spec.time_limit == 4 * 3600


def test_a_folder_below_the_home_is_told_so(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flextui.core.model.spec import read_specs

    (tmp_path / "resnet").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "resnet")
    monkeypatch.delenv("PWD", raising=False)
    core.answers[Submit] = submitted()
    assert run(["run", "--detach", "--workdir", ".", "--", "true"], core.connect) == 0
    sent = core.asked[0]
    assert isinstance(sent, Submit)
    assert read_specs(sent.sources[0].text, "run")[0].workdir == "~/resnet"


@pytest.mark.parametrize(
    "line",
    [["run"], ["run", "--where", "rack", "--", "x"], ["run", "--env", "NOT_SET_XYZ", "--", "x"],
     ["run", "--gpus", "-1", "--", "x"]],
)  # fmt: skip
def test_a_wrong_run_changes_nothing(core: FakeCore, line: list[str], capfd: Captured) -> None:
    assert run(line, core.connect) == 2
    assert capfd.readouterr().err.startswith("flextui: error: ")
    assert core.asked == []


# ── jobs, show, why, wait ──


def test_jobs_lists_whole_lines_into_a_pipe(core: FakeCore, capfd: Captured) -> None:
    assert run(["jobs"], core.connect) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].split() == [
        "ID", "NAME", "OWNER", "TYPE", "STATE", "TASKS", "NODE", "GPUS", "AGE", "REASON",
    ]  # fmt: skip
    assert any("needs 8 GPUs: gpu4 7 of 8 usable" in line for line in out)
    assert core.needs == [Need.STORE]
    assert "\x1b" not in "".join(out)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--user", "bob"], ["train", "llama-pre-2"]),
        (["--state", "failed,pending"], ["chat-gw", "llama-pre-2"]),
        (["--type", "service", "--state", "running"], ["chat-api"]),
        (["--node", "gpu3"], ["chat-api", "chat-gw"]),
        (["--mine"], []),
    ],
)
def test_jobs_filters(
    core: FakeCore, options: list[str], names: list[str], capfd: Captured
) -> None:
    assert run(["jobs", "--json", *options], core.connect) == 0
    assert [it["name"] for it in json.loads(capfd.readouterr().out)] == names


def test_jobs_shows_the_columns_asked_for(core: FakeCore, capfd: Captured) -> None:
    assert run(["jobs", "-o", "name,exit", "--state", "running"], core.connect) == 0
    assert capfd.readouterr().out.split() == ["NAME", "EXIT", "train", "–", "chat-api", "–"]


def test_an_unknown_column_or_state_names_what_there_is(core: FakeCore, capfd: Captured) -> None:
    assert run(["jobs", "-o", "nmae"], core.connect) == 2
    assert "did you mean 'name'?" in capfd.readouterr().err
    assert run(["jobs", "--state", "done"], core.connect) == 2
    assert "succeeded" in capfd.readouterr().err


def test_show_has_every_attempt_with_its_reason(core: FakeCore, capfd: Captured) -> None:
    assert run(["show", "chat-gw"], core.connect) == 0
    out = capfd.readouterr().out
    assert "web/chat-gw  j3  service  failed" in out
    assert "crash loop: 4 failures in 10m, last exit 137" in out
    assert "j3.0.1" in out
    assert "out of memory" in out
    assert run(["show", "chat-gw", "--json"], core.connect) == 0
    assert json.loads(capfd.readouterr().out)["tasks"][0]["attempts"][0]["exit_code"] == 137


def test_a_reason_cannot_drive_the_terminal(core: FakeCore, capfd: Captured) -> None:
    core.jobs = [RUNNING | {"reason": "\x1b]0;owned\x07\x1b[31mred\nsecond line"}]  # type: ignore[list-item]
    for line in (["jobs"], ["show", "train"]):
        assert run(line, core.connect) == 0
        out = capfd.readouterr().out
        assert "\x1b" not in out
        assert "red second line" in out


def test_why_names_what_is_in_the_way(core: FakeCore, capfd: Captured) -> None:
    core.answers[Why] = {
        "job": core.jobs[3],
        "tasks": [
            {"index": 0, "state": "pending", "summary": "needs 8 GPUs on one node",
             "blocks": [{"code": "gpus_busy", "text": "8 of 8 held", "nodes": ["gpu7"],
                         "device": None, "held_by": ["bob/llama-pre"], "clears": "in 2h10m"}],
             "would_help": ["with 7 GPUs instead of 8: now"]}
        ],
    }  # fmt: skip
    assert run(["why", "llama-pre-2"], core.connect) == 0
    out = capfd.readouterr().out
    assert "needs 8 GPUs (h100), 8 CPUs" in out
    assert "gpu7  8 of 8 held · held by bob/llama-pre · in 2h10m" in out
    assert "would help: with 7 GPUs instead of 8: now" in out


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (DONE, 0),
        (DONE | {"state": "failed", "exit_code": 0}, 1),
        (DONE | {"state": "failed", "exit_code": 7}, 7),
        (DONE | {"state": "stopped", "exit_code": 143}, 143),
        (DONE | {"state": "stopped", "exit_code": None}, 1),
    ],
)
def test_wait_ends_as_the_job_did(core: FakeCore, end: dict[str, object], status: int) -> None:
    core.jobs = [RUNNING]
    core.deltas = [view(RUNNING, full=True), view(end)]  # type: ignore[arg-type]
    assert run(["wait", "train"], core.connect) == status


def test_wait_for_running_needs_all_replicas(core: FakeCore, capfd: Captured) -> None:
    half = job(1, "train", "alice", "running", [task(0, "running", []), task(1, "pending", [])],
               type="service", count=2)  # fmt: skip
    both = half | {"tasks": [task(0, "running", []), task(1, "running", [])]}
    core.jobs = [half]
    core.deltas = [view(half, full=True), view(both)]  # type: ignore[arg-type]
    assert run(["wait", "--for", "running", "train"], core.connect) == 0
    assert capfd.readouterr().err == "flextui: j1 train running\n"


# ── logs ──


def test_logs_are_the_bytes_as_they_are(
    core: FakeCore, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    core.jobs = [RUNNING]
    core.log = [piece("\x1b]0;x\x07"), piece("", b64="/wAK"), piece("e\n", stream="err")]
    assert run(["logs", "train", "-n", "5", "-f", "--task", "0"], core.connect) == 0
    assert capfdbinary.readouterr().out == b"\x1b]0;x\x07\xff\x00\ne\n"
    (request,) = core.log_requests
    assert (request.job, request.tasks, request.last_lines, request.follow) == ("j1", (0,), 5, True)


def test_both_streams_come_in_the_order_in_which_they_were_printed(
    core: FakeCore, capfd: Captured
) -> None:
    core.jobs = [RUNNING]
    core.log = [
        piece("step 1\nstep 2\nst", marks=[[0, 100.0], [7, 300.0]]),
        piece("ep 3\ndone", at=16, marks=[[14, 500.0], [21, 700.0]]),
        piece("warm\noops\n", stream="err", marks=[[0, 200.0], [5, 600.0]]),
    ]
    assert run(["logs", "train"], core.connect) == 0
    assert capfd.readouterr().out == "step 1\nwarm\nstep 2\nstep 3\noops\ndone"
    assert run(["logs", "train", "-n", "2"], core.connect) == 0
    assert capfd.readouterr().out == "oops\ndone"
    assert run(["logs", "train", "--stream", "out"], core.connect) == 0
    assert capfd.readouterr().out == "step 1\nstep 2\nstep 3\ndone"


def test_a_line_without_an_end_is_never_torn_by_the_other_stream(
    core: FakeCore, capfd: Captured
) -> None:
    core.jobs = [RUNNING]
    long = "x" * 50_000
    core.log = [
        *(piece(long, at=n * 50_000, marks=[[n * 50_000, 100.0 + n]]) for n in range(4)),
        piece("end\nnext\n", at=200_000, marks=[[200_000, 104.0], [200_004, 200.0]]),
        piece("err\n", stream="err", marks=[[0, 101.5]]),
    ]
    assert run(["logs", "train"], core.connect) == 0
    assert capfd.readouterr().out == f"{4 * long}end\nerr\nnext\n"


def test_logs_of_a_node_that_there_isnt_name_the_nearest(core: FakeCore, capfd: Captured) -> None:
    assert run(["logs", "--node", "gpu11"], core.connect) == 2
    assert "--node: there is no node 'gpu11'; did you mean 'gpu1'?" in capfd.readouterr().err


def test_a_gap_is_told_on_stderr(core: FakeCore, capfd: Captured) -> None:
    core.jobs = [RUNNING]
    core.log = [piece("", kind="gap", at=100, to=300), piece("tail\n")]
    assert run(["logs", "train"], core.connect) == 0
    out, err = capfd.readouterr()
    assert out == "tail\n"
    assert "200 bytes of out of j1.0.1 were dropped" in err


def test_lines_of_several_tasks_stay_whole(core: FakeCore, capfd: Captured) -> None:
    core.jobs = [RUNNING | {"tasks": [task(0, "running", []), task(1, "running", [])]}]  # type: ignore[list-item]
    core.log = [piece("a1 "), piece("b1\nb2", attempt="j1.1.1"), piece("a2\n")]
    assert run(["logs", "-f", "train"], core.connect) == 0
    assert capfd.readouterr().out == "b1\na1 a2\nb2\n"


def test_an_attempt_is_named_by_number_or_id(core: FakeCore, capfd: Captured) -> None:
    tries = [attempt("j1.0", 1, "failed", "gpu1"), attempt("j1.0", 2, "running", "gpu1")]
    core.jobs = [RUNNING | {"tasks": [task(0, "running", tries)]}]  # type: ignore[list-item]
    assert run(["logs", "train", "--attempt", "1"], core.connect) == 0
    assert run(["logs", "train", "--attempt", "j1.0.2"], core.connect) == 0
    asked = dict.fromkeys(it.attempt for it in core.log_requests)
    assert list(asked) == ["j1.0.1", "j1.0.2"]
    assert run(["logs", "train", "--attempt", "9"], core.connect) == 2
    assert "there are j1.0.1, j1.0.2" in capfd.readouterr().err


# ── acting ──


def test_acts_send_their_command(core: FakeCore, capfd: Captured) -> None:
    done = {"jobs": [{"id": "j1", "name": "train", "owner": "bob", "state": "running"}]}
    core.answers = {
        Stop: done, Restart: done, Scale: {"id": "j2", "name": "chat-api", "count": 3},
        SetPriority: {}, Drain: {"node": "gpu1"}, Cordon: {"node": "gpu4", "gpu": "3"},
        TakeOver: {"nodes": ["gpu1"]}, Shutdown: {},
    }  # fmt: skip
    lines = [
        ["stop", "train", "--why", "wrong"], ["restart", "train"], ["scale", "chat-api", "3"],
        ["priority", "train", "80"], ["drain", "gpu1", "--why", "dust"], ["undrain", "gpu1"],
        ["cordon", "gpu4:3"], ["uncordon", "gpu4"], ["takeover", "gpu1"], ["shutdown"],
    ]  # fmt: skip
    for line in lines:
        assert run(line, core.connect) == 0
    assert core.asked == [
        Stop(("train",), "wrong"), Restart(("train",)), Scale("chat-api", 3),
        SetPriority("train", 80), Drain("gpu1", True, "dust"), Drain("gpu1", False),
        Cordon("gpu4", "3", True), Cordon("gpu4", None, False), TakeOver(("gpu1",)), Shutdown(),
    ]  # fmt: skip
    assert core.needs == [Need.CORE] * len(lines)


def test_what_is_wrong_with_a_line_has_no_place_in_a_file(core: FakeCore, capfd: Captured) -> None:
    where = {"file": "run", "line": 8, "column": 11, "expected": "gpus: 4 (gpu2)", "nearest": ""}
    problem = {**where, "message": "needs 99 GPUs: no node could ever hold it"}
    core.answers[Submit] = CommandError("input", "wrong", problems=(problem,))
    assert run(["run", "--gpus", "99", "--", "true"], core.connect) == 2
    told = "needs 99 GPUs: no node could ever hold it; expected gpus: 4 (gpu2); nothing was changed"
    assert capfd.readouterr().err == f"flextui: error: {told}\n"
    core.answers[Submit] = CommandError("input", "wrong", problems=(problem, problem))
    assert run(["run", "--gpus", "99", "--", "true"], core.connect) == 2
    assert "run:8" not in capfd.readouterr().err


def test_services_are_those_that_are_to_be_up(core: FakeCore, capfd: Captured) -> None:
    live = [it for it in core.jobs if it["type"] == "service" and not it["ended_at"]]
    assert live
    assert run(["services", "--json"], core.connect) == 0
    assert [it["id"] for it in json.loads(capfd.readouterr().out)] == [it["id"] for it in live]
    assert run(["services"], core.connect) == 0
    assert len(capfd.readouterr().out.splitlines()) == 1 + len(live)


def test_acts_tell_what_is_done(core: FakeCore, capfd: Captured) -> None:
    live = {"id": "j1", "name": "train", "owner": "bob", "state": "running"}
    done = {"jobs": [live, {**live, "id": "j2", "state": "failed"}]}
    core.answers = dict.fromkeys((Stop, Unstop, Restart, Hold, Release), done)
    core.answers[Drain] = {"node": "gpu1"}
    for line, told in {
        "stop j1 j2": "stops", "restart j1 j2": "starts anew", "hold j1 j2": "is held",
        "release j1 j2": "is released", "stop --undo j1 j2": "goes on",
        "stop --in 10s j1": "stops in 10s: `flextui stop --undo j1` takes it back",
    }.items():  # fmt: skip
        assert run(line.split(), core.connect) == 0
        first, second = capfd.readouterr().out.splitlines()
        assert first == f"j1 bob/train {told}"
        assert second == "j2 bob/train failed"
    assert run(["drain", "gpu1", "--in", "10s"], core.connect) == 0
    assert "gpu1 drains, its services move in 10s: `flextui undrain" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("code", "status"), [("input", 2), ("permission", 4), ("failed", 1), ("unreachable", 3)]
)
def test_a_refusal_has_its_status(core: FakeCore, code: str, status: int, capfd: Captured) -> None:
    core.answers[Stop] = CommandError(code, "train is bob's", candidates=("bob/train",))  # type: ignore[arg-type]
    assert run(["stop", "train"], core.connect) == status
    assert capfd.readouterr().err == "flextui: error: train is bob's\n  bob/train\n"


def test_a_core_that_goes_away_is_status_3(core: FakeCore, capfd: Captured) -> None:
    core.answers[Stop] = ConnectionResetError("reset")
    assert run(["stop", "train"], core.connect) == 3
    assert "the core went away" in capfd.readouterr().err


# ── nodes, gpus, check, events, whoami ──


def test_nodes_say_what_is_wrong(core: FakeCore, capfd: Captured) -> None:
    assert run(["nodes"], core.connect) == 0
    lines = {line.split()[0]: line for line in capfd.readouterr().out.splitlines()}
    assert "6/8 A100-80" in lines["gpu1"]
    assert "bob/train,eve/llama-sft" in lines["gpu1"]
    assert "lost" in lines["gpu5"]
    assert "no answer for 38s" in lines["gpu5"]
    assert "GPU3 cordoned: XID 79" in lines["gpu4"]


def test_gpus_name_who_holds_them(core: FakeCore, capfd: Captured) -> None:
    assert run(["gpus", "gpu2"], core.connect) == 0
    lines = capfd.readouterr().out.splitlines()
    assert "carol: python (pid 4711, 31G)" in lines[1]
    assert "foreign" in lines[1]
    assert len(lines) == 5


def test_slices_are_listed_with_their_profiles(core: FakeCore, capfd: Captured) -> None:
    h100 = "NVIDIA H100 80GB HBM3"
    core.nodes = [
        node(
            "gpu1",
            [
                gpu(0, h100, 10, 4, uuid="MIG-1", mig="1g.10gb", parent="GPU-1"),
                gpu(0, h100, 40, 0, uuid="MIG-2", mig="3g.40gb", parent="GPU-1"),
                gpu(1, h100, 80, 0),
            ],
        )
    ]
    assert run(["gpus"], core.connect) == 0
    lines = capfd.readouterr().out.splitlines()[1:]
    assert [line.split()[1:4] for line in lines] == [
        ["0", "H100-80", "1g.10gb"],
        ["0", "H100-80", "3g.40gb"],
        ["1", "H100-80", "free"],
    ]
    assert [line.split()[-1] for line in lines[:2]] == ["MIG-1", "MIG-2"]
    assert run(["nodes"], core.connect) == 0
    assert "1/1 H100-80 1g.10gb, 0/1 H100-80 3g.40gb, 0/1 H100-80" in capfd.readouterr().out


def test_an_unknown_node_is_input(core: FakeCore, capfd: Captured) -> None:
    core.nodes = [node("gpu1", [])]
    assert run(["nodes", "gpu11"], core.connect) == 2
    assert "did you mean 'gpu1'?" in capfd.readouterr().err


@pytest.mark.parametrize(("ok", "status"), [(True, 0), (None, 0), (False, 1)])
def test_check_fails_only_for_failures(
    core: FakeCore, ok: bool | None, status: int, capfd: Captured
) -> None:
    row = {"node": "gpu1", "name": "python", "ok": ok, "text": "Python 3.8"}
    core.answers[Check] = {"checks": [row]}
    assert run(["check", "gpu1"], core.connect) == status
    assert "Python 3.8" in capfd.readouterr().out
    assert core.asked == [Check(("gpu1",))]


def event(seq: int, text: str) -> dict[str, object]:
    return {"seq": seq, "at": ENDED, "kind": "job.submitted", "actor": "alice", "job": "j1",
            "task": None, "attempt": None, "node": None, "text": text}  # fmt: skip


def test_events_are_the_newest_oldest_first(core: FakeCore, capfd: Captured) -> None:
    core.answers[ListEvents] = {"events": [event(n, f"number {n}") for n in range(5)]}
    assert run(["events", "-n", "2", "--json"], core.connect) == 0
    assert [it["seq"] for it in json.loads(capfd.readouterr().out)] == [3, 4]


def test_events_follow_is_one_object_a_line(core: FakeCore, capfd: Captured) -> None:
    core.answers[ListEvents] = {"events": [event(1, "old")]}
    core.history = [event(1, "old"), event(2, "new")]  # type: ignore[list-item]
    assert run(["events", "-f", "--json"], core.connect) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [it["text"] for it in lines] == ["old", "new"]


def test_whoami(core: FakeCore, capfd: Captured) -> None:
    core.answers[WhoAmI] = {"user": "alice", "uid": 1000, "groups": ["lab"], "admin": False,
                            "core": "lab@head"}  # fmt: skip
    assert run(["whoami"], core.connect) == 0
    expected = "alice (uid 1000, groups lab) on lab@head; may act on one's own jobs\n"
    assert capfd.readouterr().out == expected
