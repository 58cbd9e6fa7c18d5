"""Traces of every form become the same records, and what is wrong with one is pointed at."""

from __future__ import annotations

from pathlib import Path

import pytest

from flextui.core.model.problems import BadInput
from flextui.core.simulate.boxes import read_boxes
from flextui.core.simulate.formats import read_trace
from flextui.core.simulate.specs import Specs
from flextui.core.simulate.trace import Ask, TraceJob

OPENB = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"  # noqa: E501
MURI = "job_id,num_gpu,submit_time,iterations,model_name,batch_size,duration\n"
PHILLY = "timestamp,duration,num_gpus,gpu_time,cluster\n"
GIB = 2**30


def written(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


# ── what is read ───────────────────────────────────────────────────────────────────────────────


def test_openb(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        OPENB
        + "a,12000,16384,1,1000,,LS,Running,100,400,150\n"
        + "b,500,1024,1,460,T4|P100,LS,Running,50,60,\n"
        + "c,8000,2048,0,0,,BE,Failed,0,5,0\n",
    )
    trace = read_trace(path)
    whole, part, none = trace.jobs
    assert whole.ask == Ask(1, 0, 12.0, 16 * GIB)
    assert (whole.at, whole.run_s) == (100.0, 250.0)
    assert part.ask == Ask(0, 460, 0.5, GIB, ("T4", "P100"))
    assert part.run_s == 10.0
    assert none.ask.gpus == none.ask.share_milli == 0
    assert trace.timed


def test_openb_without_times_and_models(tmp_path: Path) -> None:
    text = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,12000,16384,8,1000\n"
    trace = read_trace(written(tmp_path, text))
    assert not trace.timed
    assert trace.jobs[0].ask == Ask(8, 0, 12.0, 16 * GIB)


def test_muri_tells_milliseconds(tmp_path: Path) -> None:
    path = written(tmp_path, MURI + "0,16,3500,10,Vgg 16,64,90000\n")
    (job,) = read_trace(path).jobs
    assert (job.at, job.run_s, job.ask.gpus, job.name) == (3.5, 90.0, 16, "vgg-16")


def test_philly_begins_with_its_first_job_and_clusters_are_projects(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        PHILLY + "2017-10-09 07:01:55,66.0,1,66.0,11cb48\n2017-10-09 07:01:00,5,2,10,6214e9\n",
    )
    trace = read_trace(path)
    assert [(job.at, job.project, job.owner) for job in trace.jobs] == [
        (55.0, "11cb48", "11cb48"),
        (0.0, "6214e9", "6214e9"),
    ]
    assert trace.began == 1507532460.0
    assert set(trace.projects) == {"11cb48", "6214e9"}


def test_quotes_blank_lines_and_a_byte_order_mark_are_read_over(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeff" + MURI + '\n0,"2",0,1,"a,b",1,1000\r\n\n')
    (job,) = read_trace(path).jobs
    assert (job.ask.gpus, job.name) == (2, "a-b")


# ── what is wrong ──────────────────────────────────────────────────────────────────────────────


def problems(path: Path) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read_trace(path)
    return [str(it).replace(str(path), "FILE") for it in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "FILE:1:1: the file is empty"),
        ("a,b\n1,2\n", "FILE:1:1: no known form of a trace; expected JSON lines"),
        (MURI, "FILE:1:1: there is no line of data"),
        (MURI + "0,x,0,1,m,1,5\n", "FILE:2:3: num_gpu: 'x' isn't a whole number; expected a"),
        (MURI + "0,1,0,1,m,1,-5\n", "FILE:2:13: duration: '-5' is out of range; expected a number"),
        (MURI + "0,1,0,1,m,1,nan\n", "FILE:2:13: duration: 'nan' is out of range"),
        (MURI + "0,1,0,1,m,1,5\n0,1,0\n", "FILE:3:1: 3 cells; expected 7, as the first line has"),
        (MURI + '0,1,0,1,"m,1,5\n', "FILE:2:1: not a line of CSV: "),
        (MURI + '0,1,0,1,"m,m",1,?\n', "FILE:2:17: duration: '?' isn't a number"),
        (PHILLY + "soon,5,2,10,a\n", "FILE:2:1: timestamp: 'soon' isn't a time; expected a time"),
        (PHILLY + "2017-10-09,5,2,10, \n", "FILE:2:19: cluster is empty; expected a name"),
        (OPENB + "a,1,1,2,500,,,,0,1,0\n", "FILE:2:9: 500 of each of 2 GPUs; expected 1000"),
        (OPENB + "a,1,1,1,0,,,,0,1,0\n", "FILE:2:9: 0 of each of 1 GPUs; expected 1 to 1000"),
        (OPENB + "a,1,1,1,1001,,,,0,1,0\n", "FILE:2:9: gpu_milli: 1001 is out of range"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    (found,) = problems(written(tmp_path, text))
    assert found.startswith(told)


def test_all_mistakes_are_told_at_once_up_to_a_bound(tmp_path: Path) -> None:
    path = written(tmp_path, MURI + "0,x,0,1,m,1,y\n" * 3)
    assert len(problems(path)) == 3
    assert len(problems(written(tmp_path, MURI + "0,x,0,1,m,1,y\n" * 500))) < 110


def test_a_column_that_is_missing_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path, "job_id,num_gpus,submit_time,duration\n1,1,1,1\n")
    with pytest.raises(BadInput) as caught:
        read_trace(path, "muri")
    (problem,) = caught.value.problems
    assert str(problem).endswith(
        "the column num_gpu is missing; expected num_gpu, submit_time, duration; "
        "did you mean 'num_gpus'?"
    )


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(b"a,b\nc,\xff\n")
    assert problems(path) == ["FILE:2:3: the byte 0xff is not UTF-8; expected a text file in UTF-8"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.csv")[0].startswith("FILE:1:1: can't be read: No such file")


# ── nodes ──────────────────────────────────────────────────────────────────────────────────────


def test_a_grid_of_nodes() -> None:
    boxes = read_boxes("12x4:h100")
    assert [box.name for box in boxes[:2]] == ["n00", "n01"]
    assert len(boxes) == 12
    assert [gpu.model for gpu in boxes[0].gpus] == ["h100"] * 4


def test_a_csv_of_nodes(tmp_path: Path) -> None:
    text = "sn,cpu_milli,memory_mib,gpu,model\nNode-1,64000,1024,2,T4\nnode-2,1000,1024,0,\n"
    first, second = read_boxes(str(written(tmp_path, text)))
    assert (first.name, first.cpus, first.memory_bytes) == ("node-1", 64.0, GIB)
    assert [(gpu.model, gpu.memory_bytes) for gpu in first.gpus] == [("T4", 16 * GIB)] * 2
    assert second.gpus == ()


def test_an_inventory_that_gives_its_gpus(tmp_path: Path) -> None:
    text = "nodes: [{host: a, gpus: [{index: 0, model: a100, memory: 80GiB}]}]\n"
    (box,) = read_boxes(str(written(tmp_path, text, "fleet.yaml")))
    assert (box.name, box.gpus[0].model) == ("a", "a100")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0x8", "no such fleet"),
        ("sn,cpu_milli,memory_mib,gpu\nA b,1,1,1\n", "not the name of a node"),
        ("sn,cpu_milli,memory_mib,gpu\na,1,1,1\na,1,1,1\n", ":3:1: the name a is used twice"),
        ("nodes: [{host: a}]\n", "its GPUs are known only to the node itself"),
    ],
)
def test_nodes_that_make_no_sense_are_refused(tmp_path: Path, text: str, told: str) -> None:
    given = text
    if "\n" in text:
        name = "nodes.yaml" if text.startswith("nodes:") else "nodes.csv"
        given = str(written(tmp_path, text, name))
    with pytest.raises(BadInput, match=told.replace("(", r"\(")):
        read_boxes(given)


# ── specs ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("gpus", "nodes", "each"), [(1, 1, 1), (8, 1, 8), (12, 2, 6), (16, 2, 8), (9, 3, 3), (0, 1, 0)]
)
def test_more_gpus_than_a_node_has_become_a_gang(gpus: int, nodes: int, each: int) -> None:
    spec = Specs(read_boxes("8x8"), limits=False).of(TraceJob(0, 1, "ada", ask=Ask(gpus)))
    assert (spec.nodes, spec.resources.gpus) == (nodes, each)


def test_one_spec_a_shape_whose_time_limit_tells_nothing_unless_it_is_to() -> None:
    specs = Specs(read_boxes("8x8"), limits=False)
    one, two = (specs.of(TraceJob(at, at + 5.0, "ada", ask=Ask(1))) for at in (0.0, 1.0))
    assert one is two
    assert one.time_limit is None
    known = Specs(read_boxes("8x8"), limits=True, margin_s=60.0)
    assert known.of(TraceJob(0, 5.0, "ada", ask=Ask(1))).time_limit == 65.0
