"""Job specs: what is filled in, what is refused and where, and the way to storage and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from flextui.core.model.problems import MAX_PROBLEMS, BadInput, Problem
from flextui.core.model.spec import GRAMMAR, JobSpec, Where, read_specs, spec_from_text

BASE = "name: a\nrun: x\n"

FULL = """
name: train-resnet
type: batch
run: python train.py
image: null
priority: 50
resources: {gpus: 2, gpu_model: [a100, h100], gpu_memory: 40GiB, cpus: 8, memory: 64GiB}
nodes: 1
count: 1
where: {rack: a, node: [gpu1], not: {owner: x, node: gpu9}, prefer: {fast: "1"}, placement: pack}
env: {LR: "0.1"}
workdir: ~/resnet
restart: {on: failure, attempts: 3, within: 10m, delay: 5s, backoff: 2, max_delay: 5m,
          not_on_exit: [2]}
on_node_loss: {then: reschedule, after: 90s, fence: true}
time_limit: 4h
grace: 30s
"""


def spec(text: str) -> JobSpec:
    (only,) = read_specs(text, "job.yaml")
    return only


def refused(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        read_specs(text, "job.yaml")
    return caught.value.problems


def the_problem(text: str) -> str:
    (only,) = refused(text)
    return str(only).removeprefix("job.yaml:")


def test_everything_that_is_written_is_kept() -> None:
    full = spec(FULL)
    assert (full.name, full.type, full.run, full.priority) == (
        "train-resnet",
        "batch",
        "python train.py",
        50,
    )
    resources = full.resources
    assert (resources.gpus, resources.gpu_model, resources.cpus) == (2, ("a100", "h100"), 8.0)
    assert (resources.gpu_memory, resources.memory) == (40 * 2**30, 64 * 2**30)
    where = full.where
    assert (where.labels, where.node, where.placement) == ({"rack": "a"}, ("gpu1",), "pack")
    assert (where.not_.labels, where.not_.node) == ({"owner": "x"}, ("gpu9",))
    assert where.prefer == {"fast": "1"}
    assert (full.env, full.workdir) == ({"LR": "0.1"}, "~/resnet")
    restart = full.restart
    assert (restart.on, restart.attempts, restart.within) == ("failure", 3, 600.0)
    assert (restart.delay, restart.backoff, restart.max_delay) == (5.0, 2.0, 300.0)
    assert restart.not_on_exit == (2,)
    loss = full.on_node_loss
    assert (loss.then, loss.after, loss.fence) == ("reschedule", 90.0, True)
    assert (full.time_limit, full.grace) == (14_400.0, 30.0)


def test_what_is_left_out_has_a_default() -> None:
    small = spec(BASE)
    assert (small.type, small.count, small.priority) == ("batch", 1, 50)
    assert (small.resources.gpus, small.resources.cpus, small.resources.memory) == (0, 1.0, None)
    assert small.where == Where()
    assert (small.env, small.workdir, small.time_limit, small.grace) == ({}, None, None, 30.0)
    assert small.on_node_loss.after is None


@pytest.mark.parametrize(
    ("written", "restart", "loss"),
    [
        ("type: batch", "never", "wait"),
        ("type: service", "always", "reschedule"),
        ("type: system", "always", "wait"),
        ("type: batch\nrestart: {attempts: 5}", "failure", "wait"),
        ("type: service\nrestart: {on: failure}", "failure", "reschedule"),
        ("type: service\nrestart: {attempts: 5}", "always", "reschedule"),
        ("type: service\non_node_loss: {then: wait}", "always", "wait"),
        ("type: service\non_node_loss: {fence: true}", "always", "reschedule"),
        ("type: batch\non_node_loss: {after: 5m}", "never", "wait"),
    ],
)
def test_defaults_that_depend_on_the_type(written: str, restart: str, loss: str) -> None:
    read = spec(BASE + written)
    assert (read.restart.on, read.on_node_loss.then) == (restart, loss)


def test_the_same_defaults_hold_for_a_spec_made_in_python() -> None:
    made = JobSpec(name="a", run="x", type="service")
    assert made == spec(BASE + "type: service")
    assert made.restart.on == "always"


def test_text_stays_what_it_looks_like() -> None:
    read = spec(
        "name: 007\nrun: [true, 0x10, 1.50, on]\nworkdir: /1\n"
        "env: {A: 0.10, B: on, C: TRUE, D: 22:22, E: '', F: 1e3}\n"
        "where: {rack: 01, x: yes, node: 7, not: {y: 2.0}, prefer: {z: no}}\n"
        "resources: {gpus: 1, gpu_model: 3090}\n"
    )
    assert read.name == "007"
    assert read.run == ("true", "0x10", "1.50", "on")
    assert read.env == {"A": "0.10", "B": "on", "C": "TRUE", "D": "22:22", "E": "", "F": "1e3"}
    assert read.where.labels == {"rack": "01", "x": "yes"}
    assert (read.where.node, read.where.not_.labels) == (("7",), {"y": "2.0"})
    assert read.where.prefer == {"z": "no"}
    assert read.resources.gpu_model == ("3090",)


def test_several_jobs_in_a_file() -> None:
    assert [
        it.name for it in read_specs("---\nname: a\nrun: x\n---\nname: b\nrun: [y, z]", "f")
    ] == [
        "a",
        "b",
    ]


MORE = """
name: train
run: x
project: vision
nodes: 4
resources: {gpu_share: 0.3335, gpu_model: a100, gpu_memory: 40GiB}
begin: 2026-01-31 09:30
deadline: 2026-02-01T09:30:00+01:00
preempt: resume
idle: {gpu_below: 10, for: 1h, then: stop, grace: 10m}
interactive: true
volumes: [data, "more:/more", "old:/old:ro"]
where: {apart: [train, eval]}
"""


def test_a_gang_with_a_share_and_all_its_times() -> None:
    more = spec(MORE)
    assert (more.project, more.nodes, more.preempt, more.interactive) == (
        "vision",
        4,
        "resume",
        True,
    )
    assert (more.resources.gpu_share, more.resources.share_milli) == (0.334, 334)
    assert more.resources.share_bytes == 0
    assert (more.begin, more.deadline) == ("2026-01-31T09:30:00", "2026-02-01T09:30:00+01:00")
    idle = more.idle
    assert idle is not None
    assert (idle.gpu_below, idle.for_, idle.then, idle.grace) == (10.0, 3600.0, "stop", 600.0)
    assert more.volumes == ("data", "more:/more", "old:/old:ro")
    assert more.where.apart == ("train", "eval")
    assert spec(json.dumps(more.to_json())) == more
    assert spec_from_text(more.to_text()) == more


def test_a_share_may_be_a_size() -> None:
    resources = spec(BASE + "resources: {gpu_share: 10GiB}").resources
    assert (resources.share_bytes, resources.share_milli, resources.gpus) == (10 * 2**30, 0, 0)


def test_times_may_be_so_long_from_submission() -> None:
    read = spec(BASE + "begin: 30m\ndeadline: 4h\n")
    assert (read.begin, read.deadline) == (1800.0, 14_400.0)
    mixed = spec(BASE + "begin: 30m\ndeadline: 2026-01-31\n")
    assert (mixed.begin, mixed.deadline) == (1800.0, "2026-01-31T00:00:00")


@pytest.mark.parametrize(("kind", "preempt"), [("batch", "restart"), ("service", "never")])
def test_only_batch_jobs_make_room_for_others_unasked(kind: str, preempt: str) -> None:
    assert spec(BASE + f"type: {kind}").preempt == preempt


def test_what_idles_has_defaults() -> None:
    idle = spec(BASE + "resources: {gpus: 1}\nidle: {}").idle
    assert idle is not None
    assert (idle.gpu_below, idle.for_, idle.then, idle.grace) == (5.0, 1800.0, "warn", 300.0)


def test_all_problems_of_a_file_are_told_in_order() -> None:
    found = refused(
        "nmae: a\nrun: x\nresources: {gpus: two}\n"
        "---\nname: b\nrun: y\narray: 1-9\n"
        "---\nname: b\nrun: z\npriority: 101\n"
        "---\nname: c\nrun: [\n"
    )
    assert [(it.line, it.column, it.message) for it in found] == [
        (1, 1, "unknown field 'nmae'"),
        (3, 19, "resources.gpus is 'two'"),
        (7, 1, "'array' is not supported yet"),
        (9, 7, "the name 'b' is used twice"),
        (11, 11, "priority is 101"),
        (15, 1, "a value is missing"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("run: x", "1:1: 'name' is missing; expected a name of a-z"),
        ("name: a", "1:1: 'run' is missing; expected a command"),
        ("name: A_b\nrun: x", "1:7: name is 'A_b'; expected 1 to 63 of a-z, 0-9 and '-'"),
        (f"name: {'a' * 64}\nrun: x", "1:7: name is 'aaaa"),
        ("name: -a\nrun: x", "1:7: name is '-a'"),
        ("name: a\nrun:", "2:5: run is empty; expected a shell line"),
        ("name: a\nrun: ' '", "2:6: run is ' '; expected a command"),
        ("name: a\nrun: []", "2:6: run is a list; expected a shell line, or a list of texts"),
        ("name: a\nrun: ['']", "2:6: run: the program's name is empty"),
        ("name: a\nrun: [x, [y]]", "2:6: run is a list"),
        ('name: a\nrun: "x\\0y"', r"2:6: run is 'x\x00y'; expected less than 128 KiB"),
        pytest.param(f"name: a\nrun: {'x' * 131_072}", "2:6: run is 'xxxx", id="128 KiB"),
        (
            BASE + "type: bath",
            "3:7: type is 'bath'; expected one of batch, service, system",
        ),
        (BASE + "type: cron", "3:7: type: 'cron' is not supported yet; expected one of batch"),
        (BASE + "type: [batch]", "3:7: type is a list; expected one of batch"),
        (BASE + "gpus: 2", "did you mean 'resources.gpus'?"),
        (BASE + "gpu: 2", "did you mean 'resources.gpus'?"),
        (BASE + "scedule: x", "did you mean 'schedule'?"),
        (BASE + "on-node-loss: {}", "did you mean 'on_node_loss'?"),
        (BASE + '"a\\e[31m": 1', r"3:1: unknown field 'a\x1b[31m'; expected one of begin, count"),
        (BASE + "resources: 5", "3:12: resources is 5; expected a mapping"),
        (BASE + "resources:", "3:11: resources is empty; expected a mapping"),
        (BASE + "resources: {gpus: -1}", "3:19: resources.gpus is -1; expected at least 0"),
        (BASE + "resources: {gpus: '2'}", "3:19: resources.gpus is '2'; expected a whole number"),
        (BASE + "resources: {gpus: 2.0}", "3:19: resources.gpus is 2.0; expected a whole number"),
        (BASE + "resources: {gpus: true}", "3:19: resources.gpus is True; expected a whole number"),
        (BASE + "resources: {cpus: .inf}", "3:19: resources.cpus is inf; expected a finite number"),
        (BASE + "resources: {cpus: -1}", "3:19: resources.cpus is -1; expected at least 0"),
        (BASE + "resources: {memory: 64}", "64; expected at least 1MiB, with a unit such as 64GiB"),
        (BASE + "resources: {memory: 64gb}", "'64gb'; expected a size such as 512MiB, 64Gi, 64GiB"),
        (BASE + "resources: {gpu_model: a100}", "3:24: resources.gpu_model: no GPU is asked for"),
        (BASE + "resources: {gpu_memory: 8GiB}", "3:25: resources.gpu_memory: no GPU is asked for"),
        (BASE + "count: 2", "3:8: count: a batch job has no replicas; expected type: service"),
        (BASE + "type: service\ncount: -1", "4:8: count is -1; expected at least 0"),
        (BASE + "where: {nodes: [x]}", "3:16: where.nodes is a list; expected text"),
        (BASE + "where: {labels: {rack: a}}", "3:17: where.labels is a mapping; expected text"),
        (BASE + "where: {prefer: {node: x}}", "3:18: the name 'node' is not allowed"),
        (BASE + "where: {not: {x: {}}}", "3:18: where.not.x is a mapping; expected text"),
        (BASE + "where: {not: x}", "3:14: where.not is 'x'; expected a mapping"),
        (BASE + "where: {placement: packed}", "expected one of pack, spread; did you mean 'pack'?"),
        (BASE + "env: {A-B: x}", "3:7: the name 'A-B' is not allowed; expected letters"),
        (BASE + "env: {FLEXTUI_JOB: x}", "flextui sets FLEXTUI_* and CUDA_VISIBLE_DEVICES itself"),
        (BASE + "env: {CUDA_VISIBLE_DEVICES: 0}", "3:7: the name 'CUDA_VISIBLE_DEVICES'"),
        (BASE + "env: {A: }", "3:10: env.A is empty; expected text"),
        (BASE + "env: [A=1]", "3:6: env is a list; expected a mapping"),
        (BASE + "workdir: data", "expected an absolute path, or one that starts with ~/"),
        (BASE + "workdir: ~bob/x", "3:10: workdir is '~bob/x'"),
        (BASE + "priority: 101", "3:11: priority is 101; expected at most 100"),
        (BASE + "restart: {on: failed}", "one of never, failure, always; did you mean 'failure'?"),
        (BASE + "restart: {backof: 2}", "3:11: unknown field 'backof' in restart; expected one of"),
        (BASE + "restart: {within: 10:00}", "3:19: restart.within: 10:00 may be minutes or"),
        (BASE + "restart: {within: 0s}", "3:19: restart.within is '0s'; expected more than 0"),
        (
            BASE + "restart: {delay: 10m}",
            "max_delay (5m) is shorter than delay; expected",
        ),
        (
            BASE + "restart: {not_on_exit: [2, 256]}",
            "restart.not_on_exit[1] is 256; expected at",
        ),
        (BASE + "restart: {not_on_exit: 2}", "3:24: restart.not_on_exit is 2; expected a list"),
        (BASE + "restart:", "3:9: restart is empty; expected a mapping"),
        (BASE + "on_node_loss: {fence: yes}", "expected true or false; did you mean 'true'?"),
        (
            BASE + "on_node_loss: {fence: true}",
            "a task that waits isn't fenced; expected then",
        ),
        (BASE + "time_limit: 0", "3:13: time_limit is 0; expected more than 0"),
        (BASE + "time_limit: 4 hours", "'4 hours'; expected a duration such as 30s, 90m, 4h"),
        (BASE + "grace: 2d", "3:8: grace is '2d'; expected at most 86400"),
        (BASE + "nodes: 0", "3:8: nodes is 0; expected at least 1"),
        (BASE + "nodes: 1025", "3:8: nodes is 1025; expected at most 1024"),
        (BASE + "nodes: true", "3:8: nodes is True; expected a whole number"),
        (
            BASE + "type: service\nnodes: 2",
            "4:8: nodes: a service job is no gang; expected type: b",
        ),
        (BASE + "project: Vision", "3:10: project is 'Vision'; expected the name of a project"),
        (BASE + "interactive: yes", "expected true or false; did you mean 'true'?"),
        (
            BASE + "type: service\ninteractive: true",
            "4:14: interactive: a service job isn't interactive; expected type: batch",
        ),
        (BASE + "preempt: always", "3:10: preempt is 'always'; expected one of never, restart, r"),
        (
            BASE + "resources: {gpus: 1, gpu_share: 0.5}",
            "3:33: resources.gpu_share: whole GPUs are asked for as well; expected gpu_share or",
        ),
        (
            BASE + "resources: {gpu_share: 1}",
            "3:24: resources.gpu_share is 1; expected a part betw",
        ),
        (BASE + "resources: {gpu_share: 1.0}", "resources.gpu_share is 1.0; expected a part betwe"),
        (BASE + "resources: {gpu_share: 0.0}", "resources.gpu_share is 0.0; expected a part betwe"),
        (BASE + "resources: {gpu_share: .nan}", "resources.gpu_share is nan; expected a part betw"),
        (BASE + "resources: {gpu_share: '0.5'}", "resources.gpu_share is '0.5'; expected a part b"),
        (BASE + "resources: {gpu_share: 10gib}", "or a size such as 10GiB; did you mean '10GiB'?"),
        (BASE + "begin: tomorrow", "3:8: begin is 'tomorrow'; expected a time such as 2026-01-31T"),
        (BASE + "begin: 2026-02-30", "3:8: begin: '2026-02-30' doesn't exist; expected a time su"),
        (BASE + "begin: 2026-01-31T25:00", "begin: '2026-01-31T25:00' doesn't exist"),
        (BASE + "deadline: 0001-01-01", "3:11: deadline: 0001-01-01T00:00:00 is out of range"),
        (BASE + "begin: -1", "3:8: begin is -1; expected a time such as"),
        (
            BASE + "begin: 2h\ndeadline: 90m",
            "4:11: deadline: it isn't later than begin; expected later than 2h",
        ),
        (
            BASE + "begin: 2026-02-01\ndeadline: 2026-01-31T12:00",
            "4:11: deadline: it isn't later than begin; expected later than 2026-02-01T00:00:00",
        ),
        (BASE + "idle: {for: 1h}", "3:7: idle: no GPU is asked for; expected gpus or gpu_share i"),
        (
            BASE + "resources: {gpus: 1}\nidle: {then: kill}",
            "4:14: idle.then is 'kill'; expected one of warn, stop",
        ),
        (BASE + "resources: {gpus: 1}\nidle: {gpu_below: 0}", "idle.gpu_below is 0; expected more"),
        (BASE + "resources: {gpus: 1}\nidle: {four: 1h}", "unknown field 'four' in idle; expected"),
        (BASE + "volumes: {data: /data}", "3:10: volumes is a mapping; expected a list of NAME"),
        (BASE + "volumes: ['data:/d:rx']", "3:10: volumes is a list; expected NAME, NAME:/PATH or"),
        (BASE + "volumes: [data, 'data:/d']", "volumes: the volume data is given twice"),
        (BASE + "where: {apart: {x: y}}", "3:16: where.apart is a mapping; expected a list"),
        ("- a", "1:1: this document is a list; expected a mapping of fields"),
        ("x", "1:1: this document is 'x'; expected a mapping of fields"),
        ("# nothing\n", "1:1: there is no job here; expected name: and run:"),
        (BASE + "env: {A: *x}", "3:10: the alias '*x' names nothing above"),
    ],
)
def test_one_mistake_gives_one_problem_at_its_place(text: str, problem: str) -> None:
    assert problem in the_problem(text)


LATER = [
    "image: a/b",
    "array: 0-9",
    'schedule: "0 3 * * *"',
    "timezone: UTC",
    "overlap: forbid",
    "catch_up: true",
    "depends_on: [x]",
    "env_file: x",
    "files: {/a: {content: x}}",
    "secrets: {A: b}",
    "sync: .",
    "ports: {http: 0}",
    "health: {http: {port: http}}",
    "update: {strategy: rolling}",
    "notify: []",
    "where: {pool: slurm}",
]


@pytest.mark.parametrize("written", LATER)
def test_what_a_later_version_acts_on_is_refused_not_ignored(written: str) -> None:
    assert "is not supported yet" in the_problem(BASE + written)


def test_every_later_field_is_among_the_cases_above() -> None:
    tried = {tuple(part.strip() for part in it.split(":")[:2]) for it in LATER}
    names = {name for pair in tried for part in pair for name in part.replace("{", " ").split()}
    assert {path[-1] for path in GRAMMAR.later} <= names


@pytest.mark.parametrize("path", sorted(GRAMMAR.later))
def test_a_later_field_may_be_null(path: tuple[str, ...]) -> None:
    written = f"{path[0]}: null" if len(path) == 1 else f"{path[0]}: {{{path[1]}: null}}"
    assert spec(BASE + written) == spec(BASE)


def test_very_many_problems_are_cut() -> None:
    found = refused(BASE + "".join(f"field{number}: 1\n" for number in range(10_000)))
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1].message == "there are more problems"


def test_json_is_the_spec_as_it_could_stand_in_a_file() -> None:
    full = spec(FULL)
    written: dict[str, Any] = full.to_json()
    assert written["where"] == {
        "rack": "a",
        "node": ["gpu1"],
        "not": {"owner": "x", "node": ["gpu9"]},
        "prefer": {"fast": "1"},
        "placement": "pack",
        "apart": [],
    }
    assert written["time_limit"] == 14_400.0
    assert written["resources"]["memory"] == 64 * 2**30
    assert spec(json.dumps(written)) == full
    assert JobSpec.from_json(json.loads(json.dumps(written))) == full


def test_stored_text_is_canonical_and_read_back() -> None:
    one = spec("name: a\nrun: x\nenv: {B: 1, A: 2}\nwhere: {z: 1, y: 2}")
    two = spec("where: {y: '2', z: '1'}\nenv: {A: '2', B: '1'}\nrun: x\nname: a\npriority: 50")
    assert one.to_text() == two.to_text()
    assert one.spec_hash == two.spec_hash
    assert hash(one) == hash(two)
    assert spec_from_text(one.to_text()) == one
    assert one.spec_hash != spec("name: a\nrun: y\nenv: {B: 1, A: 2}").spec_hash


@pytest.mark.parametrize(
    "data", [None, [], {}, {"name": "a"}, {"name": "a", "run": "x", "later": 1}, {"where": 3}]
)
def test_json_that_is_no_spec_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="JobSpec"):
        JobSpec.from_json(data)


def test_a_spec_can_not_be_changed() -> None:
    frozen = spec(BASE)
    with pytest.raises(ValidationError, match="frozen"):
        frozen.priority = 1  # type: ignore[misc]
