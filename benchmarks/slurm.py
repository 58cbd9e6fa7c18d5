"""A real Slurm of one node, this machine, tuned so that it can show what it can.

Own folders, ports and keys; no systemd, cgroups or accounts. What it is tuned with, and why:

- An `Epilog` (`/bin/true`): without one, slurmctld starts the next job only at its next look at
  the queue, once a second: 2 jobs a second on 2 slots. With one, the end of the epilog itself
  starts it.
- `sched/builtin` with all delays at zero and no limits on depth; no accounting, no job completion
  log, no prolog; processes are tracked by process group.
- Its state is written in the background, as always: unlike flextui's, its word isn't durable yet.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "sinfo")
START_S = 30.0

_CONFIG = """
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmctldDebug=error
SlurmdDebug=error
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,default_queue_depth=10000,partition_job_depth=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
Epilog=/bin/true
EpilogMsgTime=0
CompleteWait=0
MaxJobCount=20000
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=bench NodeHostname={host} NodeAddr=127.0.0.1 CPUs={slots} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there is no Slurm to compare with here, or None."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"Slurm is absent ({', '.join(absent)} not found): apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "Slurm is absent: its daemons want root"


class Slurm:
    """Running from `with` to its end. `env` and `command` are for its own programs."""

    def __init__(self, folder: Path, slots: int) -> None:
        self.folder = folder
        self.env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        (folder / "key").touch(0o600)
        (folder / "key").write_bytes(os.urandom(64))
        config = _CONFIG.format(
            folder=folder,
            host=socket.gethostname().split(".")[0],
            controller=_free_port(),
            daemon=_free_port(),
            slots=slots,
        )
        (folder / "slurm.conf").write_text(config)
        self.script = folder / "true.sh"
        self.script.write_text("#!/bin/sh\ntrue\n")

    def run(self, *command: str) -> str:
        """Run one of its programs; what it printed. Raises CalledProcessError."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=True)
        return done.stdout

    def pid(self, program: str) -> int:
        """Of a daemon that was started here."""
        return next(it.pid for it in self._daemons if it.args[0] == program)  # type: ignore[index]

    def wait_idle(self, within_s: float) -> int:
        """Until no job is left, or the time is over; how many are left."""
        deadline = time.monotonic() + within_s
        while left := len(self.run("squeue", "-h", "-r", "-o", "%A").split()):
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        return left

    def cancel_all(self) -> None:
        """End what is left of a run."""
        self.run("scancel", "-u", "root")
        self.wait_idle(START_S)

    def __enter__(self) -> Self:
        here = self.folder
        names = ("socket", "key-file", "pid-file", "log-file", "seed-file")
        files = ("munge.sock", "key", "munge.pid", "munge.log", "munge.seed")
        places = [f"--{name}={here / file}" for name, file in zip(names, files, strict=True)]
        try:
            self._start("munged", "--force", "--foreground", *places)
            _wait(lambda: (here / "munge.sock").exists(), "munged")
            self._start("slurmctld", "-D", "-f", str(here / "slurm.conf"))
            self._start("slurmd", "-D", "-N", "bench", "-f", str(here / "slurm.conf"))
            _wait(self._idle, "slurmctld and slurmd")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(START_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _start(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("wb") as said:
            self._daemons.append(
                subprocess.Popen(
                    command, env=self.env, stdin=subprocess.DEVNULL, stdout=said, stderr=said
                )
            )

    def _idle(self) -> bool:
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=self.env, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() == "idle"


def _wait(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_S
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} didn't start")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
