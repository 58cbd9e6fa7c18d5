"""What agents say, sound or not, as the core's records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.core.adapters import decode, devices, values
from flextui.core.events import AttemptReported, LeaseAsked, PlacesSeen, Sampled, XidSeen
from flextui.core.model.state import GpuPlace, Use
from flextui.core.view import throttled
from tests.unit.stand_in_agent import hello

GPU: dict[str, Any] = {
    "uuid": "GPU-1",
    "index": 1,
    "model": "NVIDIA H100 80GB HBM3",
    "memory_bytes": 85899345920,
    "memory_used_bytes": 1 << 30,
    "utilization": 97,
    "temperature_c": 61,
    "power_w": 512.5,
    "power_limit_w": 700,
    "ecc_uncorrected": None,
    "recovery_action": 0,
    "mig": None,
    "state": "ok",
    "text": "",
    "processes": [
        {
            "pid": 4711,
            "user": "root",
            "name": "python",
            "command": "python train.py",
            "memory_bytes": None,
            "attempt": None,
            "container": {"id": "abc", "name": "trainer", "owner": "bob"},
        }
    ],
}


def test_a_sample_with_its_gpus() -> None:
    message = {
        "t": "sample",
        "seq": 4,
        "cpu": 0.25,
        "load": [1, 2.5, 3],
        "memory_bytes": 100,
        "memory_used_bytes": 40,
        "disk_bytes": 10,
        "disk_free_bytes": 4,
        "uptime_s": 99.5,
        "nvml": "ok",
        "gpus": [GPU],
        "attempts": {
            "j1.0.1": {"cpu": 1.5, "memory_bytes": 7},
            "j2.0.1": {"cpu": None, "memory_bytes": 8, "active_ago_s": 4},
        },
    }
    event = decode.push("gpu1", message)
    assert isinstance(event, Sampled)
    assert (event.sample.cpu, event.sample.load) == (0.25, (1.0, 2.5, 3.0))
    assert event.sample.attempts == {"j1.0.1": Use(1.5, 7, None), "j2.0.1": Use(None, 8, 4.0)}
    gpu = event.gpus[0]
    assert (gpu.uuid, gpu.index, gpu.utilization, gpu.power_limit_w) == ("GPU-1", 1, 97, 700.0)
    assert gpu.ecc_uncorrected is None
    process = gpu.processes[0]
    assert (process.pid, process.container, process.owner) == (4711, "trainer", "bob")
    assert process.memory_bytes is None


def test_what_holds_a_gpu_back_and_what_a_process_takes_of_its_machine() -> None:
    process = {**GPU["processes"][0], "cpu": 1.25, "host_memory_bytes": 5 << 30, "ran_s": 90}
    told = {
        "memory_utilization": 31, "fan": 40, "clock_mhz": 1200, "clock_max_mhz": 1980,
        "throttle": 0x24, "pcie": [4, 8], "pcie_max": [5, 16], "processes": [process],
    }  # fmt: skip
    gpu = devices.gpu({**GPU, **told})
    assert gpu is not None
    assert (gpu.fan, gpu.clock_mhz, gpu.clock_max_mhz, gpu.memory_utilization) == (
        40, 1200, 1980, 31,
    )  # fmt: skip
    assert (gpu.pcie, gpu.pcie_max) == ((4, 8), (5, 16))
    assert throttled(gpu.throttle or 0) == ["power cap", "heat"]
    found = gpu.processes[0]
    assert (found.cpu, found.host_memory_bytes, found.ran_s) == (1.25, 5 << 30, 90)

    sick = devices.gpu({**GPU, "fan": -4, "pcie": [4], "pcie_max": ["x", 16], "clock_mhz": "fast"})
    assert sick is not None
    assert (sick.fan, sick.pcie, sick.pcie_max, sick.clock_mhz) == (None, None, None, None)


def test_a_record_with_its_exit() -> None:
    message = {
        "t": "attempt",
        "attempt": "j1.0.1",
        "job": "ada/train",
        "task": 0,
        "state": "ended",
        "pid": None,
        "started_ago_s": 12.5,
        "exit": {"code": None, "signal": 9, "why": "memory", "text": "over 1 GiB", "ran_s": 3},
        "devices": ["GPU-1"],
        "log": {"out": 10, "err": 0, "other": 3},
        "limit": "soft",
    }
    event = decode.push("gpu1", message)
    assert isinstance(event, AttemptReported)
    assert event.record.exit is not None
    assert (event.record.exit.code, event.record.exit.signal) == (None, 9)
    assert (event.record.exit.why, event.record.exit.ran_s) == ("memory", 3.0)
    assert event.record.exit.ended_ago_s == 9.5
    assert event.record.devices == ("GPU-1",)
    assert event.record.log_bytes == {"out": 10, "err": 0}


def test_facts_of_a_node() -> None:
    facts = decode.facts(hello(), 0.0)
    assert facts is not None
    assert (facts.host_id, facts.root_id, facts.user) == ("0123456789abcdef-1000", "r1", "lab")
    assert facts.driver_version is None


@pytest.mark.parametrize("field", ["host_id", "boot", "root"])
def test_a_node_without_a_name_is_none(field: str) -> None:
    message = hello()
    del message[field]
    assert decode.facts(message, 0.0) is None


def test_other_pushes() -> None:
    assert decode.push("n", {"t": "xid", "uuid": "G", "xid": 79, "text": "x"}) == XidSeen(
        "n", "G", 79, "x"
    )
    on_slice = decode.push("n", {"t": "xid", "uuid": "G", "xid": 31, "text": "", "mig": "M"})
    assert on_slice == XidSeen("n", "G", 31, "", mig="M")
    assert decode.push("n", {"t": "renew", "attempt": "a", "seq": 3}) == LeaseAsked("n", "a", 3)
    assert decode.push("n", {"t": "from a later version"}) is None


# ── MIG ────────────────────────────────────────────────────────────────────────────────────────

SLICES: list[dict[str, Any]] = [
    {"uuid": "MIG-1", "profile": "1g.10gb", "memory_bytes": 10, "memory_used_bytes": 4},
    {"uuid": "MIG-2", "profile": "3g.40gb", "memory_bytes": 40, "memory_used_bytes": None},
]


def test_a_gpu_in_mig_mode_is_its_slices() -> None:
    process = GPU["processes"][0]
    on_slices = [process | {"mig": "MIG-2", "utilization": 40}, process | {"mig": "MIG-9"}]
    small, large = devices.devices(
        GPU | {"mig": SLICES, "processes": on_slices, "utilization": None}
    )
    assert (small.uuid, small.parent, small.mig) == ("MIG-1", "GPU-1", "1g.10gb")
    assert (small.memory_bytes, small.memory_used_bytes) == (10, 4)
    assert (small.index, small.model, small.temperature_c) == (1, "NVIDIA H100 80GB HBM3", 61)
    assert (small.processes, small.power_w, small.utilization) == ((), None, None)
    assert [(it.pid, it.utilization) for it in large.processes] == [(4711, 40)]


def test_slices_share_the_trouble_of_their_gpu() -> None:
    found = devices.devices(GPU | {"mig": SLICES, "state": "lost", "text": "GPU is lost"})
    assert [(it.uuid, it.state, it.text) for it in found] == [
        ("MIG-1", "lost", "GPU is lost"),
        ("MIG-2", "lost", "GPU is lost"),
    ]


def test_a_gpu_in_mig_mode_without_slices_cannot_be_used() -> None:
    (found,) = devices.devices(GPU | {"mig": []})
    assert (found.uuid, found.state, found.text) == ("GPU-1", "error", devices.NO_SLICES)
    (lost,) = devices.devices(GPU | {"mig": [], "state": "lost", "text": "GPU is lost"})
    assert (lost.state, lost.text) == ("lost", "GPU is lost")


# ── places ─────────────────────────────────────────────────────────────────────────────────────


def test_places_of_devices() -> None:
    told = {"G1": {"numa": 1, "cpus": "0-2,8", "near": {"G2": 104}}, "G2": {}}
    assert decode.push("n", {"t": "places", "places": told}) == PlacesSeen(
        "n", {"G1": GpuPlace(1, (0, 1, 2, 8), {"G2": 104}), "G2": GpuPlace()}
    )


@pytest.mark.parametrize("wrong", ["", "x", "3-1", "0-99999999", "-1", "1-", "²"])
def test_a_list_of_cpus_that_is_none(wrong: str) -> None:
    assert devices.cpu_list(wrong) == ()


def test_text_of_a_node_cannot_drive_a_terminal() -> None:
    sick = GPU | {"model": "\x1b]0;owned\x07H100\x1b[2J", "text": "a\nb\x9b1m\ud800"}
    gpu = devices.gpu(sick)
    assert gpu is not None
    assert gpu.model == "H100"
    assert gpu.text.encode()
    assert not set("\x1b\x9b\n\ud800") & set(gpu.text)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", str(10**30), '"7"'])
def test_numbers_that_are_none_are_unknown(value: str) -> None:
    gpu = devices.gpu(GPU | json.loads(f'{{"utilization": {value}, "power_w": {value}}}'))
    assert gpu is not None
    assert gpu.utilization is None
    assert gpu.power_w is None


def test_long_text_and_long_lists_are_cut() -> None:
    gpu = devices.gpu(GPU | {"text": "x" * 10**6, "processes": GPU["processes"] * 10_000})
    assert gpu is not None
    assert len(gpu.text) == values.TEXT_BOUND
    assert len(gpu.processes) == devices.PROCESSES_BOUND


def test_log_text_stays_as_written() -> None:
    found = decode.log_event("n", "a", {"t": "log", "stream": "out", "at": 3, "text": "é\x1b[1m\n"})
    assert found is not None
    assert (found["text"], found["at"], found["to"]) == ("é\x1b[1m\n", 3, 10)


def test_log_bytes_that_are_no_text() -> None:
    found = decode.log_event("n", "a", {"t": "log", "stream": "err", "at": 0, "b64": "/wBh"})
    assert found is not None
    assert (found["b64"], found["text"], found["to"]) == ("/wBh", "\ufffd\x00a", 3)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5)
    ),
    max_leaves=12,
)


def sickened(sound: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A sound message with some of its fields replaced by anything."""
    names = st.sampled_from(sorted(sound))
    return st.dictionaries(names, anything, max_size=4).map(lambda wrong: sound | wrong)


@given(
    message=st.one_of(
        st.dictionaries(st.text(max_size=10), anything, max_size=6),
        sickened({"t": "attempt", "attempt": "j1.0.1", "state": "ended", "exit": {"code": 1}}),
        sickened({"t": "attempt", "attempt": "j1.0.1", "state": "running", "log": {"out": 1}}),
        sickened({"t": "xid", "uuid": "G", "xid": 1, "text": ""}),
        sickened({"t": "renew", "attempt": "a", "seq": 1}),
        sickened(GPU).map(lambda gpu: {"t": "sample", "gpus": [gpu]}),
        sickened(SLICES[0]).map(lambda it: {"t": "sample", "gpus": [GPU | {"mig": [it]}]}),
        sickened({"numa": 1, "cpus": "0-3", "near": {"H": 40}}).map(
            lambda place: {"t": "places", "places": {"G": place}}
        ),
        sickened(GPU["processes"][0]).map(
            lambda process: {"t": "sample", "gpus": [GPU | {"processes": [process]}]}
        ),
    )
)
def test_nothing_an_agent_pushes_raises(message: dict[str, Any]) -> None:
    event = decode.push("n", message)
    assert event is None or repr(event).encode("utf-8")


@given(message=st.one_of(sickened(hello()), sickened(hello()["host"]).map(lambda h: hello(host=h))))
def test_no_hello_raises(message: dict[str, Any]) -> None:
    decode.facts(message, 0.0)
    decode.records(message)
    decode.driver(message)


@given(
    message=sickened(
        {"t": "log", "stream": "out", "at": 1, "text": "x", "b64": "eA==", "marks": [[1, 2]]}
    )
)
def test_no_log_push_raises(message: dict[str, Any]) -> None:
    found = decode.log_event("n", "a", message)
    if found is not None:
        assert found["to"] >= found["at"] or found["kind"] == "gap"
        assert found["text"].encode("utf-8") is not None


@pytest.mark.parametrize("mark", [[-1, 5000], [7, -1], [7, 1 << 62], [7, 1e15], [7]])
def test_times_and_places_that_no_log_can_have_are_left_out(mark: list[float]) -> None:
    log = {"t": "log", "stream": "out", "at": 1, "text": "x", "marks": [mark, [1, 2]]}
    found = decode.log_event("n", "a", log)
    hits = decode.log_event("n", "a", {"t": "hits", "stream": "out", "hits": [mark, [1, 2]]})
    assert found is not None
    assert hits is not None
    assert (found["marks"], hits["hits"]) == ([[1.0, 2.0]], [[1.0, 2.0]])


def test_what_was_told_of_a_stream_has_two_ends() -> None:
    eof = decode.log_event("n", "a", {"t": "eof", "told": {"out": [1], "err": [3, 9, 9]}})
    assert eof is not None
    assert eof["told"] == {"err": [3, 9]}


def test_what_no_exit_can_be_is_none() -> None:
    told = {"code": 1 << 40, "signal": -1, "why": "x" * 999, "ran_s": 1e300}
    found = decode.record(
        {"attempt": "j1.0.1", "state": "ended", "exit": told, "started_ago_s": -1e300}
    )
    assert found is not None
    assert found.exit is not None
    assert (found.exit.code, found.exit.signal, found.exit.ran_s) == (None, None, None)
    assert len(found.exit.why) == 64
    assert found.started_ago_s is None
