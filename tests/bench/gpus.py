"""GPUs made of a file: what the stand-in for libnvidia-ml.so.1 answers, changed from a test.

Every method writes the state file anew and atomically, so that callers see the old state or the
new one. What each field means to NVML's callers is said in nvml/state.h.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.nvml.build import library_folder

MIB = 1 << 20
STATE = "state"

_DATACENTRE = {
    "reserved": 600 * MIB,
    "ecc": 1,
    "ecc_corrected": 0,
    "ecc_uncorrected": 0,
    "ecc_corrected_ever": 0,
    "ecc_uncorrected_ever": 0,
    "remapped_pending": 0,
    "remapped_failed": 0,
    "recovery_action": 0,
    "mig_mode": 0,
}
MODELS: Mapping[str, Mapping[str, str | int]] = {
    "h100": {
        **_DATACENTRE,
        "name": "NVIDIA H100 80GB HBM3",
        "memory": 81559 * MIB,
        "power_limit": 700_000,
        "clock_max": 1980,
        "major": 9,
        "minor": 0,
    },
    "a100": {
        **_DATACENTRE,
        "name": "NVIDIA A100-SXM4-40GB",
        "memory": 40960 * MIB,
        "power_limit": 400_000,
        "clock_max": 1410,
        "major": 8,
        "minor": 0,
    },
    "rtx4090": {
        "name": "NVIDIA GeForce RTX 4090",
        "memory": 24564 * MIB,
        "reserved": 400 * MIB,
        "power_limit": 450_000,
        "clock_max": 3105,
        "fan": 30,
        "major": 8,
        "minor": 9,
    },
}
_AT_REST: Mapping[str, int] = {
    "used": 0,
    "bar1": 128 * 1024 * MIB,
    "utilization": 0,
    "memory_utilization": 0,
    "temperature": 34,
    "slowdown_temperature": 87,
    "shutdown_temperature": 92,
    "power": 68_000,
    "energy": 1_000_000,
    "pstate": 0,
    "clock_graphics": 345,
    "clock_sm": 345,
    "clock_memory": 1593,
    "clock_video": 345,
    "throttle": 0,
    "pcie_gen": 4,
    "pcie_width": 16,
    "pcie_gen_max": 4,
    "pcie_width_max": 16,
}


@dataclass
class _Gpu:
    fields: dict[str, str | int]
    records: list[tuple[str, dict[str, str | int]]] = field(default_factory=list)

    @property
    def uuid(self) -> str:
        return str(self.fields["uuid"])

    def drop(self, kind: str, **match: str | int) -> None:
        self.records = [
            (name, values)
            for name, values in self.records
            if name != kind or any(values.get(key) != value for key, value in match.items())
        ]


class FakeGpus:
    """The GPUs of one machine. ``seed`` makes their UUIDs; two machines need two seeds.

    Sizes are MiB, power is in watts, temperatures in degrees Celsius.
    """

    def __init__(
        self, folder: Path, count: int = 1, *, model: str = "h100", seed: str | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / STATE
        self._system: dict[str, str | int] = {
            "driver": "570.124.06",
            "nvml": "12.570.124.06",
            "cuda": 12080,
        }
        self._loaded = True
        self._events = 0
        self._gpus = [self._make(seed or str(folder), index, model) for index in range(count)]
        own = self.state.with_name(f"{STATE}.processes")
        own.touch()
        own.chmod(0o666)
        self._write()

    @staticmethod
    def _make(seed: str, index: int, model: str) -> _Gpu:
        identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}/{index}")
        return _Gpu(
            {
                "uuid": f"GPU-{identity}",
                "serial": str(identity.int % 10**13),
                "pci": f"00000000:{0x17 + 8 * index:02X}:00.0",
                "numa": 0 if index < 4 else 1,
                "cpus": "0-15" if index < 4 else "16-31",
                "pcie_switch": index // 2,
                **_AT_REST,
                **MODELS[model],
            }
        )

    @property
    def uuids(self) -> list[str]:
        return [gpu.uuid for gpu in self._gpus]

    @property
    def env(self) -> dict[str, str]:
        """What a process outside of any node needs in its environment to see these GPUs."""
        return {"LD_LIBRARY_PATH": str(library_folder()), "FAKE_NVML_STATE": str(self.state)}

    # ---- load and health ----

    def set(self, gpu: int, **fields: str | int) -> None:
        """Set fields as state.h names them, in its units."""
        self._gpus[gpu].fields.update(fields)
        self._write()

    def set_memory(self, gpu: int, used: int) -> None:
        """What is in use beyond the listed processes, in MiB."""
        self.set(gpu, used=used * MIB)

    def set_load(
        self, gpu: int, utilization: int, *, temperature: int = 60, watts: int = 350
    ) -> None:
        self.set(gpu, utilization=utilization, temperature=temperature, power=watts * 1000)

    def set_ecc(self, gpu: int, *, corrected: int = 0, uncorrected: int = 0) -> None:
        self.set(
            gpu,
            ecc_corrected=corrected,
            ecc_uncorrected=uncorrected,
            ecc_corrected_ever=corrected,
            ecc_uncorrected_ever=uncorrected,
        )

    def set_recovery_action(self, gpu: int, action: int) -> None:
        """One of NVML_GPU_RECOVERY_ACTION_*: 0 none, 1 reset the GPU, 2 reboot the node, ..."""
        self.set(gpu, recovery_action=action)

    # ---- processes ----

    def add_process(
        self,
        gpu: int | str,
        pid: int,
        mib: int,
        *,
        live: bool = False,
        graphics: bool = False,
        name: str | None = None,
        work: int | None = None,
    ) -> None:
        """List a process. ``gpu`` is an index, or the UUID of a GPU or MIG device.

        With ``live`` it is listed for as long as it exists; without, until it is removed. ``work``
        is the percentage of the time that it has work on the GPU.
        """
        uuid_of = self._gpus[gpu].uuid if isinstance(gpu, int) else gpu
        record: dict[str, str | int] = {
            "gpu": uuid_of,
            "pid": pid,
            "bytes": mib * MIB,
            "kind": "graphics" if graphics else "compute",
            "live": int(live),
        }
        if name is not None:
            record["name"] = name
        if work is not None:
            record["work"] = work
        self._owner(uuid_of).records.append(("process", record))
        self._write()

    def remove_process(self, pid: int) -> None:
        for gpu in self._gpus:
            gpu.drop("process", pid=pid)
        self._write()

    @staticmethod
    def hold_memory(mib: int) -> str:
        """A line of shell by which a workload takes memory on the GPUs it was given.

        They are named by CUDA_VISIBLE_DEVICES; the memory is free when that shell ends.
        """
        state = "${FAKE_NVML_STATE:-/run/fake-nvml/state}"
        return f'echo "$CUDA_VISIBLE_DEVICES $$ {mib}" >> "{state}.processes"'

    # ---- trouble ----

    def xid(self, gpu: int, code: int) -> None:
        """Deliver one XID critical error to whoever waits for events of that GPU."""
        self._events += 1
        record: dict[str, str | int] = {"gpu": self.uuids[gpu], "seq": self._events, "code": code}
        self._gpus[gpu].records.append(("xid", record))
        self._write()

    def lose(self, gpu: int) -> None:
        """It falls off the bus: every call answers GPU_IS_LOST."""
        self.set(gpu, lost=1)

    def hang(self, gpu: int) -> None:
        """Every call about it blocks until ``restore``, as after XID 79."""
        self.set(gpu, hang=1)

    def restore(self, gpu: int) -> None:
        """The GPU answers again, as if nothing had happened."""
        self._gpus[gpu].fields.update(lost=0, hang=0)
        self._gpus[gpu].drop("error")
        self._write()

    def fail(self, gpu: int, call: str, code: int) -> None:
        """Calls of that name (without _v2) give that NVML error."""
        record: dict[str, str | int] = {"gpu": self.uuids[gpu], "call": call, "code": code}
        self._gpus[gpu].records.append(("error", record))
        self._write()

    def unsupported(self, gpu: int, *calls: str) -> None:
        """These calls answer NOT_SUPPORTED, as they do on cards that lack the feature."""
        for call in calls:
            self.fail(gpu, call, 3)

    def hang_driver(self, hangs: bool = True) -> None:
        """Every call blocks, nvmlInit included."""
        self._system["hang"] = int(hangs)
        self._write()

    def unload_driver(self) -> None:
        """nvmlInit answers DRIVER_NOT_LOADED from now on."""
        self._loaded = False
        self._write()

    def load_driver(self) -> None:
        self._loaded = True
        self._write()

    # ---- layout ----

    def mig(self, gpu: int, profiles: Sequence[str]) -> list[str]:
        """Cut a GPU into MIG devices such as ``1g.10gb``; gives their UUIDs.

        Of the whole GPU's memory and processes its callers are told nothing then, as it is for
        those who aren't administrators.
        """
        parent = self._gpus[gpu]
        parent.fields.update(mig_mode=1, mig_private=1)
        parent.drop("mig")
        for number, profile in enumerate(profiles):
            slices, gigabytes = profile.removesuffix("gb").split("g.")
            identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{parent.uuid}/{number}")
            record: dict[str, str | int] = {
                "gpu": parent.uuid,
                "uuid": f"MIG-{identity}",
                "name": f"{parent.fields['name']} MIG {profile}",
                "memory": int(gigabytes) * 1024 * MIB,
                "gi": number + 1,
                "ci": 0,
                "slices": int(slices),
            }
            # before the processes: those may name a MIG device
            parent.records.insert(number, ("mig", record))
        self._write()
        return [str(values["uuid"]) for kind, values in parent.records if kind == "mig"]

    def link(self, one: int, other: int) -> None:
        """Join two GPUs by one more NVLink."""
        for here, there in ((one, other), (other, one)):
            record: dict[str, str | int] = {"gpu": self.uuids[here], "peer": self.uuids[there]}
            self._gpus[here].records.append(("link", record))
        self._write()

    def link_by_switches(self, links: int, switches: int = 2) -> None:
        """Join all GPUs through NVSwitches, each by so many links that are spread over these."""
        for gpu in self._gpus:
            for number in range(links):
                address = f"00000000:{0xC0 + number % switches:02X}:00.0"
                gpu.records.append(("link", {"gpu": gpu.uuid, "peer": address}))
        self._write()

    # ---- the file ----

    def _owner(self, uuid_of: str) -> _Gpu:
        for gpu in self._gpus:
            migs = (values["uuid"] for kind, values in gpu.records if kind == "mig")
            if uuid_of == gpu.uuid or uuid_of in migs:
                return gpu
        raise KeyError(f"no GPU or MIG device {uuid_of} here")

    def _write(self) -> None:
        if not self._loaded:
            self.state.unlink(missing_ok=True)
            return
        lines = [_line("system", self._system)]
        lines += [_line("gpu", gpu.fields) for gpu in self._gpus]
        lines += [_line(kind, values) for gpu in self._gpus for kind, values in gpu.records]
        handle, written = tempfile.mkstemp(dir=self.folder, prefix=".state-")
        with os.fdopen(handle, "w") as file:
            file.writelines(lines)
        os.chmod(written, 0o644)
        os.replace(written, self.state)


def _line(kind: str, values: Mapping[str, str | int]) -> str:
    return "\t".join([kind, *(f"{key}={value}" for key, value in values.items())]) + "\n"
