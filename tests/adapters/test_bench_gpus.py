"""The stand-in for NVML, as the real nvidia-ml-py sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.bench.gpus import MIB, FakeGpus

GPU_IS_LOST = 15
NOT_SUPPORTED = 3
NO_PERMISSION = 4
NOT_FOUND = 6
DRIVER_NOT_LOADED = 9
NOT_INITIALISED = 1

PRELUDE = """
import json, sys
import pynvml as n

def code(call, *args):
    try:
        call(*args)
    except n.NVMLError as error:
        return error.value
    return 0

def answer(value):
    print(json.dumps(value), flush=True)
"""
INIT = """
n.nvmlInit()
gpus = [n.nvmlDeviceGetHandleByIndex(i) for i in range(n.nvmlDeviceGetCount())]
"""


def start(gpus: FakeGpus, body: str, *, init: str = INIT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + init + textwrap.dedent(body)],
        env={**os.environ, **gpus.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(gpus: FakeGpus, body: str, *, init: str = INIT) -> Any:
    process = start(gpus, body, init=init)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return json.loads(output)


def line(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def test_devices_are_found_with_their_identity(fake_gpus: FakeGpus) -> None:
    found = ask(
        fake_gpus,
        """
        answer([[n.nvmlDeviceGetUUID(g), n.nvmlDeviceGetName(g), n.nvmlDeviceGetIndex(g)]
                for g in gpus])
        """,
    )
    assert found == [
        [fake_gpus.uuids[0], "NVIDIA H100 80GB HBM3", 0],
        [fake_gpus.uuids[1], "NVIDIA H100 80GB HBM3", 1],
    ]


def test_a_uuid_finds_its_device(fake_gpus: FakeGpus) -> None:
    body = f"answer(n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByUUID('{fake_gpus.uuids[1]}')))"
    assert ask(fake_gpus, body) == 1


def test_a_caller_sees_a_change_while_it_runs(fake_gpus: FakeGpus) -> None:
    process = start(
        fake_gpus,
        """
        for _ in sys.stdin:
            answer([n.nvmlDeviceGetMemoryInfo(gpus[0], version=n.nvmlMemory_v2).used,
                    n.nvmlDeviceGetUtilizationRates(gpus[0]).gpu])
        """,
    )
    assert process.stdin is not None
    with process:
        for used, load in ((0, 0), (2048, 97), (512, 3)):
            fake_gpus.set_memory(0, used)
            fake_gpus.set_load(0, load)
            print(file=process.stdin, flush=True)
            assert line(process) == [used * MIB, load]
        process.stdin.close()


def test_memory_adds_up_in_both_versions(fake_gpus: FakeGpus) -> None:
    fake_gpus.set_memory(0, 1024)
    first, second = ask(
        fake_gpus,
        """
        one = n.nvmlDeviceGetMemoryInfo(gpus[0])
        two = n.nvmlDeviceGetMemoryInfo(gpus[0], version=n.nvmlMemory_v2)
        answer([[one.total, one.used, one.free], [two.total, two.used, two.reserved, two.free]])
        """,
    )
    assert first[0] == first[1] + first[2]
    assert second[0] == sum(second[1:])
    assert first[1] == second[1] + second[2]


def test_a_process_holds_memory_for_as_long_as_it_lives(fake_gpus: FakeGpus) -> None:
    look = """
        p = n.nvmlDeviceGetComputeRunningProcesses(gpus[0])
        used = n.nvmlDeviceGetMemoryInfo(gpus[0], version=n.nvmlMemory_v2).used
        answer([[[x.pid, x.usedGpuMemory] for x in p], used])
        """
    workload = subprocess.Popen(["sleep", "60"])
    fake_gpus.add_process(0, workload.pid, 3000, live=True)
    assert ask(fake_gpus, look) == [[[workload.pid, 3000 * MIB]], 3000 * MIB]
    workload.kill()
    os.waitid(os.P_PID, workload.pid, os.WEXITED | os.WNOWAIT)  # a zombie by now
    assert ask(fake_gpus, look) == [[], 0]
    workload.wait()
    assert ask(fake_gpus, look) == [[], 0]


def test_a_listed_process_stays_until_it_is_removed(fake_gpus: FakeGpus) -> None:
    look = """
        p = n.nvmlDeviceGetComputeRunningProcesses(gpus[0])
        answer([n.nvmlSystemGetProcessName(x.pid) for x in p])
        """
    nobody = 2**31 - 2
    fake_gpus.add_process(0, nobody, 100, name="/opt/foreign")
    assert ask(fake_gpus, look) == ["/opt/foreign"]
    fake_gpus.remove_process(nobody)
    assert ask(fake_gpus, look) == []


def test_graphics_processes_are_listed_apart(fake_gpus: FakeGpus) -> None:
    fake_gpus.add_process(0, os.getpid(), 80, graphics=True, name="Xorg")
    look = """
        answer([len(n.nvmlDeviceGetComputeRunningProcesses(gpus[0])),
                len(n.nvmlDeviceGetComputeRunningProcesses_v2(gpus[0])),
                len(n.nvmlDeviceGetGraphicsRunningProcesses(gpus[0]))])
        """
    assert ask(fake_gpus, look) == [0, 0, 1]


def test_a_workload_takes_memory_on_all_of_its_gpus_by_one_line_of_shell(
    fake_gpus: FakeGpus,
) -> None:
    environment = {**fake_gpus.env, "CUDA_VISIBLE_DEVICES": ",".join(fake_gpus.uuids)}
    workload = subprocess.Popen(
        ["sh", "-c", f"{FakeGpus.hold_memory(700)}; echo held; read _"],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    used = "answer([n.nvmlDeviceGetMemoryInfo(g, version=n.nvmlMemory_v2).used for g in gpus])"
    with workload:
        assert workload.stdout is not None
        assert workload.stdin is not None
        assert workload.stdout.readline() == "held\n"
        assert ask(fake_gpus, used) == [700 * MIB, 700 * MIB]
        workload.stdin.close()
    assert ask(fake_gpus, used) == [0, 0]


def test_an_xid_reaches_every_set_that_waits_once(fake_gpus: FakeGpus) -> None:
    fake_gpus.xid(1, 31)  # before anybody waited: never delivered
    process = start(
        fake_gpus,
        """
        events = n.nvmlEventSetCreate()
        for g in gpus:
            n.nvmlDeviceRegisterEvents(g, n.nvmlEventTypeXidCriticalError, events)
        answer("waiting")
        for _ in range(2):
            e = n.nvmlEventSetWait(events, 20000)
            answer([n.nvmlDeviceGetIndex(e.device), e.eventType, e.eventData])
        answer(code(n.nvmlEventSetWait, events, 1))
        n.nvmlEventSetFree(events)
        """,
    )
    with process:
        assert line(process) == "waiting"
        fake_gpus.xid(1, 79)
        assert line(process) == [1, 8, 79]
        fake_gpus.xid(0, 48)
        assert line(process) == [0, 8, 48]
        assert line(process) == 10  # NVML_ERROR_TIMEOUT


def test_a_lost_gpu_says_so_and_the_others_answer(fake_gpus: FakeGpus) -> None:
    process = start(
        fake_gpus,
        """
        answer("ready")
        sys.stdin.readline()
        answer([[code(call, g) for g in gpus]
                for call in (n.nvmlDeviceGetMemoryInfo, n.nvmlDeviceGetUUID)])
        answer([n.nvmlDeviceGetCount(), code(n.nvmlDeviceGetHandleByIndex, 0)])
        """,
    )
    with process:
        assert process.stdin is not None
        assert line(process) == "ready"
        fake_gpus.lose(0)
        print(file=process.stdin, flush=True)
        assert line(process) == [[GPU_IS_LOST, 0], [GPU_IS_LOST, 0]]
        assert line(process) == [2, GPU_IS_LOST]


@pytest.mark.parametrize("whole_driver", [False, True])
def test_a_call_that_hangs_blocks_until_the_gpu_is_back(
    fake_gpus: FakeGpus, whole_driver: bool
) -> None:
    process = start(
        fake_gpus,
        """
        answer("ready")
        sys.stdin.readline()
        answer("calling")
        answer(n.nvmlDeviceGetPowerUsage(gpus[0]))
        """,
    )
    with process:
        assert process.stdin is not None
        assert line(process) == "ready"
        if whole_driver:
            fake_gpus.hang_driver()
        else:
            fake_gpus.hang(0)
        print(file=process.stdin, flush=True)
        assert line(process) == "calling"
        # it can only answer with what is set now if it hung until the GPU was restored
        fake_gpus.set_load(0, 50, watts=123)
        if whole_driver:
            fake_gpus.hang_driver(False)
        else:
            fake_gpus.restore(0)
        assert line(process) == 123_000


def test_what_a_card_lacks_is_not_supported(fake_gpus: FakeGpus, tmp_path: Path) -> None:
    fake_gpus.unsupported(0, "nvmlDeviceGetTotalEccErrors", "nvmlDeviceGetMemoryInfo")
    fake_gpus.fail(0, "nvmlDeviceGetTemperature", 999)
    look = """
        answer([code(n.nvmlDeviceGetTotalEccErrors, gpus[0], 1, 0),
                code(n.nvmlDeviceGetMemoryInfo, gpus[0], n.nvmlMemory_v2),
                code(n.nvmlDeviceGetTemperature, gpus[0], 0),
                code(n.nvmlDeviceGetMigMode, gpus[0]),
                code(n.nvmlDeviceGetPowerUsage, gpus[0])])
        """
    assert ask(fake_gpus, look) == [NOT_SUPPORTED, NOT_SUPPORTED, 999, 0, 0]
    desktop = FakeGpus(tmp_path / "desktop", 1, model="rtx4090")
    assert ask(desktop, look) == [NOT_SUPPORTED, 0, 0, NOT_SUPPORTED, 0]


def test_memory_errors_and_the_recovery_action(fake_gpus: FakeGpus) -> None:
    fake_gpus.set_ecc(0, corrected=7, uncorrected=2)
    fake_gpus.set_recovery_action(0, 2)
    look = """
        wanted = [n.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, n.NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON]
        fields = n.nvmlDeviceGetFieldValues(gpus[0], wanted)
        answer([n.nvmlDeviceGetTotalEccErrors(gpus[0], 0, 0),
                n.nvmlDeviceGetTotalEccErrors(gpus[0], 1, 1),
                n.nvmlDeviceGetMemoryErrorCounter(gpus[0], 1, 0, 2),
                [fields[0].nvmlReturn, fields[0].value.uiVal], fields[1].nvmlReturn])
        """
    assert ask(fake_gpus, look) == [7, 2, 2, [0, 2], NOT_SUPPORTED]


def test_mig_devices_have_memory_and_processes_of_their_own(fake_gpus: FakeGpus) -> None:
    small, large = fake_gpus.mig(0, ["1g.10gb", "3g.40gb"])
    fake_gpus.add_process(large, os.getpid(), 5000)
    look = """
        migs = [n.nvmlDeviceGetMigDeviceHandleByIndex(gpus[0], i) for i in range(2)]
        answer([
            n.nvmlDeviceGetMigMode(gpus[0])[0],
            code(n.nvmlDeviceGetMigDeviceHandleByIndex, gpus[0], 2),
            [n.nvmlDeviceGetUUID(m) for m in migs],
            [n.nvmlDeviceGetMemoryInfo(m).used for m in migs],
            n.nvmlDeviceGetAttributes(migs[1]).memorySizeMB,
            [p.gpuInstanceId for p in n.nvmlDeviceGetComputeRunningProcesses(migs[1])],
            code(n.nvmlDeviceGetComputeRunningProcesses, gpus[0]),
            code(n.nvmlDeviceGetMemoryInfo, gpus[0]),
            code(n.nvmlDeviceGetUtilizationRates, gpus[0]),
            n.nvmlDeviceGetUUID(n.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(migs[0])),
        ])
        """
    assert ask(fake_gpus, look) == [
        1,
        6,
        [small, large],
        [0, 5000 * MIB],
        40 * 1024,
        [2],
        NO_PERMISSION,
        NO_PERMISSION,
        NOT_SUPPORTED,
        fake_gpus.uuids[0],
    ]


def test_links_show_between_the_two_gpus_only(tmp_path: Path) -> None:
    gpus = FakeGpus(tmp_path / "gpus", 3)
    gpus.link(0, 1)
    gpus.link(0, 1)
    look = """
        by_nvlink = n.NVML_P2P_CAPS_INDEX_NVLINK
        answer([n.nvmlDeviceGetP2PStatus(gpus[0], gpus[1], by_nvlink),
                n.nvmlDeviceGetP2PStatus(gpus[0], gpus[2], by_nvlink),
                [n.nvmlDeviceGetNvLinkState(gpus[0], link) for link in range(3)],
                n.nvmlDeviceGetNvLinkRemotePciInfo(gpus[0], 0).busId ==
                    n.nvmlDeviceGetPciInfo(gpus[1]).busId,
                n.nvmlDeviceGetTopologyCommonAncestor(gpus[0], gpus[1])])
        """
    assert ask(gpus, look) == [0, 5, [1, 1, 0], True, 10]


def test_switches_join_all_gpus(tmp_path: Path) -> None:
    gpus = FakeGpus(tmp_path / "gpus", 3)
    gpus.link_by_switches(3)
    look = """
        links = [n.nvmlDeviceGetNvLinkRemotePciInfo(gpus[2], link).busId for link in range(3)]
        answer([n.nvmlDeviceGetP2PStatus(gpus[0], gpus[2], n.NVML_P2P_CAPS_INDEX_NVLINK),
                n.nvmlDeviceGetNvLinkRemoteDeviceType(gpus[0], 0), links])
        """
    switches = [f"00000000:{bus}:00.0" for bus in ("C0", "C1", "C0")]
    assert ask(gpus, look) == [0, 2, switches]


def test_the_cpus_and_the_memory_beside_a_gpu(fake_gpus: FakeGpus) -> None:
    fake_gpus.set(0, cpus="1-3,65", numa=1)
    look = """
        answer([list(n.nvmlDeviceGetCpuAffinity(gpus[0], 2)),
                list(n.nvmlDeviceGetMemoryAffinity(gpus[0], 1, 0)),
                code(n.nvmlDeviceGetNumaNodeId, gpus[0])])
        """
    assert ask(fake_gpus, look) == [[0b1110, 0b10], [0b10], NOT_SUPPORTED]


def test_the_work_of_processes_is_told_while_they_work(fake_gpus: FakeGpus) -> None:
    fake_gpus.add_process(0, 11, 100, work=60)
    fake_gpus.add_process(0, 12, 100, work=0)
    look = """
        samples = n.nvmlDeviceGetProcessUtilization(gpus[0], 0)
        later = samples[0].timeStamp + 10**12
        answer([[(it.pid, it.smUtil) for it in samples],
                code(n.nvmlDeviceGetProcessUtilization, gpus[0], later),
                code(n.nvmlDeviceGetProcessUtilization, gpus[1], 0)])
        """
    assert ask(fake_gpus, look) == [[[11, 60]], NOT_FOUND, NOT_FOUND]


def test_without_a_driver_or_an_init_calls_say_so(fake_gpus: FakeGpus) -> None:
    fake_gpus.unload_driver()
    assert ask(fake_gpus, "answer(code(n.nvmlInit))", init="") == DRIVER_NOT_LOADED
    fake_gpus.load_driver()
    look = "n.nvmlInit(); n.nvmlShutdown(); answer(code(n.nvmlDeviceGetCount))"
    assert ask(fake_gpus, look, init="") == NOT_INITIALISED


def test_two_machines_never_share_a_uuid(tmp_path: Path) -> None:
    one, other = FakeGpus(tmp_path / "a", 2), FakeGpus(tmp_path / "b", 2)
    assert len({*one.uuids, *other.uuids}) == 4
