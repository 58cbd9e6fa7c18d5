"""The agent as it travels: one zip of sources, named by its digest.

Built in memory from the installed package, the same bytes each time, so that a node that has a
version never gets it twice and no build step stands between a change and a node that runs it.
The first member is the same code compiled for this Python: a node with another compiles its own.
"""

import hashlib
import importlib.resources
import importlib.util
import io
import marshal
import re
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flextui.agent import boot
from flextui.core.adapters.excerpt import excerpt

PACKAGE = boot.PACKAGE
_ENTRY = f"from {PACKAGE}.__main__ import main\n\nmain()\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


@dataclass(frozen=True, slots=True)
class AgentZip:
    """The bytes to send and the SHA-256 (hex) that names them."""

    data: bytes
    sha256: str

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)


@cache
def agent_zip() -> AgentZip:
    """The zipapp of the installed agent.

    Raises FileNotFoundError when nvidia-ml-py isn't installed.
    """
    files = importlib.resources.files("flextui.agent")
    members = {
        f"{PACKAGE}/{entry.name}": entry.read_bytes()
        for entry in files.iterdir()
        if entry.name.endswith(".py")
    }
    members["__main__.py"] = _ENTRY.encode()
    members["pynvml.py"] = _pynvml(b"".join(members.values()).decode())
    return pack({**members, **compiled_table(members)})


def compiled_table(members: dict[str, bytes]) -> dict[str, bytes]:
    """The member that spares nodes with this Python the compiling; to be packed with the rest."""
    return {boot.TABLE_PREFIX + boot.tag(): marshal.dumps(boot.compiled(members), 2)}


def _pynvml(agent: str) -> bytes:
    """The part of NVIDIA's module that the agent's sources name."""
    spec = importlib.util.find_spec("pynvml")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("nvidia-ml-py is not installed: pip install nvidia-ml-py")
    source = Path(spec.origin).read_text("utf-8")
    names = set(re.findall(r"\b(?:nvml|NVML)\w+", agent))
    return excerpt(source, names, "NVML_ERROR_").encode()


def pack(members: dict[str, bytes]) -> AgentZip:
    """A zip of these files that depends on names and contents alone: no order, times or modes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, members[name], compresslevel=6)
    data = buffer.getvalue()
    return AgentZip(data, hashlib.sha256(data).hexdigest())
