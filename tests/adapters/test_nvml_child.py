"""The NVML child against the real nvidia-ml-py and a driver made of a file."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flextui.agent import nvml
from flextui.agent.nvml import NvmlWatch
from flextui.agent.sample import Sampler
from tests.bench.gpus import MIB, FakeGpus

DEADLINE_S = 30.0
pytestmark = pytest.mark.requires("gcc")


@pytest.fixture
def gpus(fake_gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> FakeGpus:
    for name, value in fake_gpus.env.items():
        monkeypatch.setenv(name, value)
    return fake_gpus


class Node:
    """A sampler with what it pushed, driven as the agent's loop drives it."""

    def __init__(self, attempts: dict[str, int] | None = None, **timing: float) -> None:
        timing = {"interval_s": 0.05, "hang_after_s": 2.0, **timing}
        self.watch = NvmlWatch(**timing)
        self.sampler = Sampler(lambda: attempts or {}, nvml=self.watch)
        self.pushed: list[dict[str, Any]] = []
        self.sampler.start()

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first sample that satisfies the condition."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            sample = self.sampler.tick()
            if condition(sample):
                return sample
            ready, _, _ = select.select(self.sampler.files(), [], [], 0.1)
            for fd in ready:
                self.pushed += self.sampler.on_readable(fd)
        raise AssertionError(f"not within the deadline; last: {sample}")


@contextmanager
def node(attempts: dict[str, int] | None = None, **timing: float) -> Iterator[Node]:
    made = Node(attempts, **timing)
    try:
        yield made
    finally:
        made.sampler.close()


def is_ok(sample: dict[str, Any]) -> bool:
    return bool(sample["nvml"] == "ok")


def test_a_gpu_is_shown_as_the_driver_reports_it(gpus: FakeGpus) -> None:
    gpus.set_load(0, 97, temperature=71, watts=512)
    gpus.set_ecc(0, uncorrected=3)
    gpus.set(0, memory_utilization=31, clock_sm=1755, throttle=4, pcie_gen=5, pcie_gen_max=5)
    gpus.set(0, pcie_width=8)
    gpus.add_process(0, os.getpid(), 700)
    gpus.add_process(0, os.getpid(), 50, graphics=True)

    with node({"a1": os.getppid()}) as here:
        assert here.sampler.tick()["nvml"] == "starting"
        sample = here.until(is_ok)

    process = sample["gpus"][0].pop("processes")
    assert sample["gpus"][0] == {
        "uuid": gpus.uuids[0],
        "index": 0,
        "model": "NVIDIA H100 80GB HBM3",
        "memory_bytes": 81559 * MIB,
        "memory_used_bytes": 750 * MIB,  # without the driver's own reserve
        "utilization": 97,
        "memory_utilization": 31,
        "temperature_c": 71,
        "power_w": 512.0,
        "power_limit_w": 700.0,
        "ecc_uncorrected": 3,
        "recovery_action": 0,
        "fan": None,  # its box cools it
        "clock_mhz": 1755,
        "clock_max_mhz": 1980,
        "throttle": 4,
        "pcie": [5, 8],
        "pcie_max": [5, 16],
        "numa": 0,
        "mig": None,
        "state": "ok",
        "text": "",
    }
    assert len(process) == 1
    assert process[0]["pid"] == os.getpid()
    assert process[0]["memory_bytes"] == 700 * MIB
    assert process[0]["command"]
    assert process[0]["attempt"] == "a1"  # by descent
    assert process[0]["utilization"] == 97  # nobody else works there
    assert sample["driver_version"] == "570.124.06"
    assert sample["cuda_version"] == "12.8"


def test_gpus_that_come_into_sight_are_pushed_at_once(gpus: FakeGpus) -> None:
    with node() as here:
        here.until(is_ok)
        places, first = here.pushed[:2]

    assert (places["t"], first["t"]) == ("places", "sample")
    assert [gpu["uuid"] for gpu in first["gpus"]] == gpus.uuids


def test_what_a_card_does_not_support_is_null(gpus: FakeGpus) -> None:
    gpus.unsupported(
        0,
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetTemperature",
        "nvmlDeviceGetTemperatureV",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetEnforcedPowerLimit",
        "nvmlDeviceGetTotalEccErrors",
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetFanSpeed",
        "nvmlDeviceGetClockInfo",
        "nvmlDeviceGetMaxClockInfo",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
        "nvmlDeviceGetCurrPcieLinkWidth",
        "nvmlDeviceGetMaxPcieLinkGeneration",
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetComputeRunningProcesses",
    )
    with node() as here:
        gpu = here.until(is_ok)["gpus"][0]

    assert gpu["state"] == "ok"
    for name in ("utilization", "temperature_c", "power_w", "power_limit_w", "ecc_uncorrected"):
        assert gpu[name] is None
    for name in ("fan", "clock_mhz", "clock_max_mhz", "throttle", "pcie", "pcie_max"):
        assert gpu[name] is None
    assert gpu["recovery_action"] is None
    assert gpu["memory_bytes"] is None
    assert gpu["processes"] == []


def test_an_older_driver_answers_the_older_memory_call(gpus: FakeGpus) -> None:
    gpus.set_memory(0, 100)
    gpus.fail(0, "nvmlDeviceGetMemoryInfo", 25)
    gpus.unsupported(1, "nvmlDeviceGetMemoryAffinity")
    with node() as here:
        sample = here.until(is_ok)

    assert sample["gpus"][0]["state"] == "ok"
    assert sample["gpus"][1]["numa"] is None


def test_an_xid_is_pushed_the_moment_it_happens(gpus: FakeGpus) -> None:
    with node(interval_s=60.0) as here:
        here.until(is_ok)
        gpus.xid(1, 79)
        here.until(lambda _: here.pushed[-1]["t"] == "xid")

    assert here.pushed[-1] == {
        "t": "xid",
        "uuid": gpus.uuids[1],
        "xid": 79,
        "text": "GPU has fallen off the bus",
    }


def test_a_lost_gpu_is_lost_alone(gpus: FakeGpus) -> None:
    with node() as here:
        here.until(is_ok)
        gpus.lose(0)
        sample = here.until(lambda now: now["gpus"][0]["state"] == "lost")
        gpus.restore(0)
        here.until(lambda now: now["gpus"][0]["state"] == "ok")

    lost, other = sample["gpus"]
    assert lost["uuid"] == gpus.uuids[0]
    assert lost["text"] == "GPU is lost"
    assert lost["memory_bytes"] == 81559 * MIB
    assert lost["utilization"] is None
    assert other["state"] == "ok"


def test_a_gpu_that_needs_a_reset_is_in_error_and_says_so(gpus: FakeGpus) -> None:
    gpus.fail(0, "nvmlDeviceGetUtilizationRates", 16)
    gpus.set_recovery_action(1, 2)
    with node() as here:
        first, second = here.until(is_ok)["gpus"]

    assert (first["state"], first["text"]) == ("error", "GPU requires restart")
    assert (second["state"], second["text"]) == ("ok", "the node needs a reboot")
    assert second["recovery_action"] == 2


def test_an_unknown_error_is_grave_only_where_every_gpu_answers(gpus: FakeGpus) -> None:
    gpus.fail(0, "nvmlDeviceGetMemoryInfo", 999)
    gpus.fail(1, "nvmlDeviceGetPowerUsage", 999)
    with node() as here:
        first, second = here.until(is_ok)["gpus"]

    assert (first["state"], first["text"]) == ("error", "Unknown Error")
    assert (second["state"], second["power_w"]) == ("ok", None)


def test_a_driver_without_the_older_temperature_call_still_tells_it(gpus: FakeGpus) -> None:
    gpus.fail(0, "nvmlDeviceGetTemperature", 13)
    with node() as here:
        assert here.until(is_ok)["gpus"][0]["temperature_c"] == 34


def test_calls_that_hang_hang_only_the_child(gpus: FakeGpus) -> None:
    gpus.set_load(0, 55)
    gpus.mig(1, ["1g.10gb"])
    with node() as here:
        here.until(is_ok)
        child = here.watch._pid
        gpus.hang(0)
        sample = here.until(lambda now: now["nvml"] == "hung")
        here.until(lambda _: not alive(child))
        gpus.restore(0)
        again = here.until(is_ok)

    gpu = sample["gpus"][0]
    assert (gpu["state"], gpu["text"]) == ("error", "NVML doesn't answer")
    assert gpu["uuid"] == gpus.uuids[0]
    assert gpu["memory_bytes"] == 81559 * MIB
    assert gpu["utilization"] is None
    assert [piece["memory_used_bytes"] for piece in sample["gpus"][1]["mig"]] == [None]
    assert again["gpus"][0]["utilization"] == 55


def test_a_driver_that_hangs_from_the_start_is_given_up(gpus: FakeGpus) -> None:
    gpus.hang_driver()
    with node(start_within_s=0.2) as here:
        sample = here.until(lambda now: now["nvml"] == "hung")
        assert sample["gpus"] == []
        gpus.hang_driver(False)
        here.until(is_ok)


def test_an_unloaded_driver_is_an_error_until_it_is_loaded(gpus: FakeGpus) -> None:
    gpus.unload_driver()
    with node() as here:
        here.until(lambda now: now["nvml"] == "error: Driver Not Loaded")
        gpus.load_driver()
        assert len(here.until(is_ok)["gpus"]) == 2


def test_a_driver_that_goes_away_takes_the_measurements_along(gpus: FakeGpus) -> None:
    with node() as here:
        here.until(is_ok)
        os.kill(here.watch._pid, signal.SIGKILL)
        sample = here.until(lambda now: now["nvml"] != "ok")
        here.until(is_ok)

    assert sample["nvml"] == "error: NVML's child ended by itself"
    assert [gpu["state"] for gpu in sample["gpus"]] == ["error", "error"]


def test_slices_and_who_is_on_them(gpus: FakeGpus) -> None:
    small, large = gpus.mig(0, ["1g.10gb", "3g.40gb"])
    gpus.add_process(large, os.getpid(), 500)
    with node() as here:
        gpu = here.until(is_ok)["gpus"][0]

    assert gpu["mig"] == [
        {
            "uuid": small,
            "profile": "1g.10gb",
            "memory_bytes": 10240 * MIB,
            "memory_used_bytes": 0,
        },
        {
            "uuid": large,
            "profile": "3g.40gb",
            "memory_bytes": 40960 * MIB,
            "memory_used_bytes": 500 * MIB,
        },
    ]
    assert gpu["utilization"] is None
    (process,) = gpu["processes"]
    assert (process["mig"], process["memory_bytes"]) == (large, 500 * MIB)
    assert process["utilization"] is None


def test_a_gpu_in_mig_mode_may_have_no_slices(gpus: FakeGpus) -> None:
    gpus.mig(0, [])
    with node() as here:
        cut, other = here.until(is_ok)["gpus"]

    assert (cut["mig"], cut["state"], cut["processes"]) == ([], "ok", [])
    assert other["mig"] is None


def test_slices_of_a_lost_gpu_stay_known(gpus: FakeGpus) -> None:
    (small,) = gpus.mig(0, ["1g.10gb"])
    with node() as here:
        here.until(is_ok)
        gpus.lose(0)
        gpu = here.until(lambda now: now["gpus"][0]["state"] == "lost")["gpus"][0]

    assert gpu["mig"] == [
        {
            "uuid": small,
            "profile": "1g.10gb",
            "memory_bytes": 10240 * MIB,
            "memory_used_bytes": None,
        }
    ]


@pytest.mark.parametrize(("work", "told"), [((70, 0), [70, 0]), ((0, 0), [0, 0])])
def test_the_work_of_each_process(gpus: FakeGpus, work: tuple[int, int], told: list[int]) -> None:
    gpus.set_load(0, 90)
    for pid, percent in zip((os.getpid(), os.getppid()), work, strict=True):
        gpus.add_process(0, pid, 100, work=percent)
    with node() as here:
        gpu = here.until(is_ok)["gpus"][0]

    assert [process["utilization"] for process in gpu["processes"]] == told


def test_a_driver_that_does_not_tell_the_work_of_processes(gpus: FakeGpus) -> None:
    gpus.unsupported(0, "nvmlDeviceGetProcessUtilization")
    for pid in (os.getpid(), os.getppid()):
        gpus.add_process(0, pid, 100, work=50)
    with node() as here:
        gpu = here.until(is_ok)["gpus"][0]

    assert [process["utilization"] for process in gpu["processes"]] == [None, None]


# where they sit


def places_of(gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the child tells where the account may use the first eight CPUs."""
    for name, value in gpus.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    with node() as here:
        here.until(is_ok)
    found: dict[str, Any] = here.pushed[0]["places"]
    return found


def test_how_near_gpus_are_to_each_other_and_to_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = FakeGpus(tmp_path / "gpus", 6)
    gpus.link(0, 1)
    gpus.link(0, 1)
    gpus.link(0, 2)
    gpus.set(0, cpus="0-2,5")
    gpus.set(1, cpus="4-99")
    found = places_of(gpus, monkeypatch)

    first, *others = gpus.uuids
    assert found[first]["numa"] == 0
    assert found[first]["cpus"] == "0-2,5"
    assert found[others[0]]["cpus"] == "4-7"  # those that the account may use
    assert "cpus" not in found[others[4]]  # it may use none of those on the other socket
    assert [found[first]["near"][uuid] for uuid in others] == [102, 101, 10, 0, 0]
    assert found[others[1]]["near"][others[2]] == 40  # on one switch
    assert all(
        found[one]["near"][other] == found[other]["near"][one]
        for one in gpus.uuids
        for other in gpus.uuids
        if one != other
    )


def test_gpus_behind_switches_are_all_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = FakeGpus(tmp_path / "gpus", 3)
    gpus.link_by_switches(18, switches=4)
    gpus.fail(2, "nvmlDeviceGetNvLinkRemoteDeviceType", 3)  # an older driver: links to nobody
    found = places_of(gpus, monkeypatch)

    one, two, three = gpus.uuids
    assert found[one]["near"] == {two: 118, three: 10}


def test_a_fabric_that_is_divided_joins_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = FakeGpus(tmp_path / "gpus", 2)
    gpus.link_by_switches(4, switches=2)
    gpus.set(1, isolated=1)
    found = places_of(gpus, monkeypatch)
    assert found[gpus.uuids[0]]["near"] == {gpus.uuids[1]: 40}


def test_slices_sit_where_their_gpu_does(gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus.set(0, cpus="0-3", numa=1)
    (small,) = gpus.mig(0, ["1g.10gb"])
    found = places_of(gpus, monkeypatch)
    assert found[small] == {"numa": 1, "cpus": "0-3"}


def test_what_a_platform_does_not_tell_of_places_is_left_out(
    gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    for gpu in range(2):
        gpus.unsupported(
            gpu,
            "nvmlDeviceGetCpuAffinity",
            "nvmlDeviceGetMemoryAffinity",
            "nvmlDeviceGetTopologyCommonAncestor",
            "nvmlDeviceGetNvLinkState",
            "nvmlDeviceGetPciInfo",
        )
    found = places_of(gpus, monkeypatch)
    assert found == {uuid: {"near": {}} for uuid in gpus.uuids}


def test_places_are_told_again_when_there_are_other_devices(
    gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.agent.gpus.LAYOUT_EVERY_S", 0.0)
    with node() as here:
        here.until(is_ok)
        (small,) = gpus.mig(1, ["1g.10gb"])
        here.until(lambda now: bool(now["gpus"][1]["mig"]))
        here.until(lambda _: True)

    told = [push["places"] for push in here.pushed if push["t"] == "places"]
    assert [small in places for places in told] == [False, True]


def test_without_the_library_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "library", lambda: None)
    with node() as here:
        sample = here.sampler.tick()

        assert here.sampler.files() == []
    assert (sample["nvml"], sample["gpus"]) == ("absent", [])


def test_a_pause_of_the_agent_itself_is_no_hang(gpus: FakeGpus) -> None:
    with node(start_within_s=0.0, hang_after_s=-60.0) as here:  # overdue from the start
        ready, _, _ = select.select(here.sampler.files(), [], [], DEADLINE_S)
        assert ready
        assert here.sampler.tick()["nvml"] == "starting"
        pushed = here.sampler.on_readable(ready[0])
        while pushed[-1]["t"] != "sample":
            assert select.select(here.sampler.files(), [], [], DEADLINE_S)[0]
            pushed += here.sampler.on_readable(ready[0])

    assert pushed[-1]["nvml"] == "ok"


@pytest.mark.parametrize("hangs", [False, True])
def test_the_child_dies_with_the_agent_and_holds_nothing_of_it(
    hangs: bool, gpus: FakeGpus, tmp_path: Path
) -> None:
    code = (
        "import select, sys; from flextui.agent.sample import Sampler\n"
        "s = Sampler(dict); s.start()\n"
        "select.select(s.files(), [], [], 30); s.on_readable(s.files()[0])\n"
        "print(s._nvml._pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as agent:
        assert agent.stdout is not None
        child = int(agent.stdout.readline())
        held = {os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")}
        if hangs:
            gpus.hang_driver()
        agent.kill()
        assert agent.stdout.read() == ""  # end of file: nobody else holds the channel
        agent.wait()

    assert {name.split(":")[0] for name in held} == {"/dev/null", "pipe"}
    end = time.monotonic() + DEADLINE_S
    poll = select.poll()
    while alive(child) and time.monotonic() < end:
        poll.poll(10)
    assert not alive(child)


def test_the_telemetry_of_the_node_itself(gpus: FakeGpus, tmp_path: Path) -> None:
    with node() as here:
        first = here.sampler.tick()
        second = here.sampler.tick()

    assert second["seq"] == first["seq"] + 1
    assert 0.0 <= second["cpu"] <= 1.0
    assert 0 < second["memory_used_bytes"] < second["memory_bytes"]
    assert 0 < second["disk_free_bytes"] < second["disk_bytes"]
    assert len(second["load"]) == 3
    assert second["uptime_s"] > 0


def test_a_disk_that_is_gone_spoils_no_sample() -> None:
    sampler = Sampler(dict, disk="/nowhere", nvml=NvmlWatch())

    assert sampler.tick()["disk_bytes"] == 0
    sampler.close()


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
