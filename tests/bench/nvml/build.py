"""Compiles the stand-in, once for each state of its sources."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from tests.bench.scratch import scratch

SONAME = "libnvidia-ml.so.1"
SOURCES = Path(__file__).parent
COMPILER = ("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-pthread")
FLAGS = ("-fvisibility=hidden", f"-Wl,-soname,{SONAME}")


def library_folder() -> Path:
    """A folder that holds ``libnvidia-ml.so.1`` and nothing else, readable by every account."""
    files = sorted([*SOURCES.glob("*.c"), *SOURCES.glob("*.h")])
    text = repr((COMPILER, FLAGS)).encode() + b"".join(file.read_bytes() for file in files)
    folder = scratch("nvml", hashlib.sha256(text).hexdigest()[:16])
    if not (folder / SONAME).exists():
        _compile(folder)
    return folder


def _compile(folder: Path) -> None:
    sources = [str(source) for source in sorted(SOURCES.glob("*.c"))]
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        built = Path(work) / SONAME
        subprocess.run([*COMPILER, *FLAGS, "-o", str(built), *sources], check=True)
        os.replace(built, folder / SONAME)
