"""How the agent is started on a node of which nothing is known but that it has SSH.

The account's login shell may be bash, fish, csh or anything else, its rc files may print, its
home may be full, read-only or shared by many nodes. So the command is one that each of these
shells reads the same way, all the rest is Python sent on stdin, and whatever comes before a
marker on stdout is skipped. Pure functions: the sessions do the talking.

Order on the channel: `loader_line` to stdin; noise, then the answer from stdout; if it says
`have: false` the zipapp's bytes; then the agent's own hello. Nothing may be sent after the loader
line until the answer is there: what a buffered reader swallowed with the line would be lost.
"""

import importlib.resources
import json
import os
import sys
from dataclasses import dataclass
from functools import cache

MARKER = "\x1eflextui-boot "
EXIT_TOO_OLD = 96
EXIT_NO_PYTHON = 97

# Where a Python may be when PATH knows of none: ssh without a login reads no profile. The
# system's own comes first: a pyenv shim or a wrapper on a network disk costs more than the agent.
_PYTHONS = (
    "/usr/bin/python3 python3 /usr/local/bin/python3 "
    "python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 "
    '"$HOME"/.local/bin/python3 "$HOME"/*conda3/bin/python3 "$HOME"/*forge3/bin/python3 '
    '"$HOME"/.pyenv/versions/*/bin/python3 "$HOME"/.local/share/uv/python/*/bin/python3 '
    "/opt/*conda*/bin/python3 /opt/python*/bin/python3"
)
_READ = "import sys;line=sys.stdin.buffer.readline();exec(line)"

# Runs on the node at every start, so it does only this: find the compiled table, else compile the
# boot module. It must parse under any Python 3.
_STUB = """
import sys
if sys.version_info < (3, 8):
    exec(OLDER)
import os, marshal, zlib
uid = os.geteuid()
home = os.environ.get("HOME", "")
folders = ["/var/tmp/flextui-cache-%d" % uid]
cache = os.environ.get("XDG_CACHE_HOME") or (home and home + "/.cache")
if cache:
    folders.insert(0, cache + "/flextui")
magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
tag = "%s-%d" % (sys.implementation.cache_tag, int.from_bytes(magic[:2], "little"))
table = None
for folder in folders:
    try:
        status = os.stat(folder)
        if status.st_uid != uid or status.st_mode & 0o022:
            continue
        with open("%s/%s.%s" % (folder, SHA256, tag), "rb", 0) as file:
            blob = memoryview(file.readall())
        if int.from_bytes(blob[:4], "little") == zlib.crc32(blob[4:]):
            table = marshal.loads(blob[4:])
            folders.insert(0, folder)
            break
    except (OSError, ValueError, EOFError, TypeError):
        continue
names = {"__name__": "flextui_agent.boot"}
if table:
    exec(marshal.loads(table["flextui_agent.boot"][2]), names)
else:
    exec(compile(BOOT, "flextui_agent/boot.py", "exec"), names)
names["boot"](SHA256, SIZE, folders, table)
"""

# A Python before 3.8 looks for a newer one and hands it the same line.
_OLDER = """
import glob, os, subprocess
home = os.path.expanduser("~")
names = ["python3.%d" % minor for minor in range(14, 7, -1)] + ["python3"]
places = [os.path.join(d, n) for n in names for d in
          os.environ.get("PATH", "").split(":") + ["/usr/bin", "/usr/local/bin"]]
for pattern in (home + "/.local/bin/python3", home + "/*conda3/bin/python3",
                home + "/*forge3/bin/python3", home + "/.pyenv/versions/*/bin/python3",
                home + "/.local/share/uv/python/*/bin/python3",
                "/opt/*conda*/bin/python3", "/opt/python*/bin/python3"):
    places.extend(sorted(glob.glob(pattern), reverse=True))
test = "import sys, zlib, json; sys.exit(sys.version_info < (3, 8))"
with open(os.devnull, "r+b") as null:
    for place in places:
        if os.access(place, os.X_OK) and not subprocess.call(
                [place, "-ISc", test], stdin=null, stdout=null, stderr=null):
            os.execv(place, [place, "-ISc", line, "flextui-agent"])
sys.stderr.write("flextui: %s is Python %d.%d\\n" % ((sys.executable,) + sys.version_info[:2]))
sys.exit(EXIT_TOO_OLD)
"""


@dataclass(frozen=True, slots=True)
class BootAnswer:
    """What the loader found on the node."""

    have: bool
    """The node has this zipapp already; otherwise send its bytes now."""
    python: str
    cache: str | None
    """The folder that keeps it; None: this node gets it anew each time."""
    text: str
    """Why there is no cache, or an empty string."""


def remote_command(python: str | None = None) -> str:
    """The command for the SSH channel, for any login shell. None: any Python that is found.

    Single quotes around text without quotes, `!`, backslash or newline mean the same in sh, bash,
    zsh, fish, csh and tcsh.
    """
    return find_python(f'-ISc "{_READ}" flextui-agent', python)


def find_python(arguments: str, python: str | None) -> str:
    """A command that runs the first Python found with these arguments, which have no quotes but
    double ones."""
    lacking = f"{python}, which the inventory names, is not there" if python else "no python3"
    script = (
        f"for p in {python or _PYTHONS}; do "
        'case "$p" in /*) ;; *) p=$(command -v "$p") ;; esac; '
        f'[ -x "$p" ] && exec "$p" {arguments}; done; '
        f'echo "flextui: {lacking}; PATH=$PATH" >&2; exit {EXIT_NO_PYTHON}'
    )
    return f"exec /bin/sh -c '{script}'"


def local_argv(python: str | None = None) -> list[str]:
    """The argument vector that starts the same loader on this machine, for transport local."""
    program = os.path.expanduser(python) if python else sys.executable
    return [program, "-ISc", _READ, "flextui-agent"]


def loader_line(sha256: str, size: int) -> bytes:
    """The line of Python for the node's stdin: it runs the zipapp of that digest and size."""
    values = {
        "SHA256": sha256,
        "SIZE": size,
        "EXIT_TOO_OLD": EXIT_TOO_OLD,
        "OLDER": _OLDER,
        "BOOT": _boot_source(),
    }
    assigned = ";".join(f"{name}={value!r}" for name, value in values.items())
    return f"{assigned};exec({_STUB!r})\n".encode("ascii")


@cache
def _boot_source() -> str:
    return importlib.resources.files("flextui.agent").joinpath("boot.py").read_text("ascii")


def parse_answer(line: bytes) -> BootAnswer | None:
    """The loader's answer, or None for a line of somebody else's (an rc file that prints).

    Raises ValueError for an answer that can't be read.
    """
    _, marker, body = line.partition(MARKER.encode())
    if not marker:
        return None
    try:
        answer = json.loads(body)
        return BootAnswer(
            have=bool(answer["have"]),
            python=str(answer["python"]),
            cache=answer["cache"],
            text=str(answer["text"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the node's loader answered {body[:80]!r}") from error


def explain_boot_failure(exit_status: int | None, stderr: str) -> str:
    """One line for the operator: why no agent came up, and the mend.

    `exit_status` is the remote command's (None when the channel just closed, negative for a
    signal); `stderr` is what it wrote, rc files' noise included.
    """
    said = " · ".join(line.strip() for line in stderr.splitlines() if line.strip())[-300:]
    own = [line for line in stderr.splitlines() if line.startswith("flextui: ")]
    text = own[-1].removeprefix("flextui: ") if own else ""
    reason = _REASONS.get(exit_status if exit_status is not None else -1)
    lowered = stderr.lower()
    if reason is not None and text:
        return f"{reason} ({text})"
    for sign, meaning in _SIGNS:
        if sign in lowered:
            return f"{meaning} ({said})"
    if exit_status is None:
        return "the channel closed before the agent started" + (f": {said}" if said else "")
    how = f"signal {-exit_status}" if exit_status < 0 else f"exit status {exit_status}"
    return f"the agent didn't start: {how}" + (f": {said}" if said else ", nothing said")


_REASONS = {
    EXIT_NO_PYTHON: "no python3 was found: install Python 3.8 or newer, or put it in the PATH "
    "that `ssh HOST 'echo $PATH'` shows",
    EXIT_TOO_OLD: "Python 3.8 or newer is needed: install one beside it (uv, conda and pyenv in "
    "the home are found)",
    95: "agents run on Linux only",
    98: "the agent arrived damaged: try again, and look at the link if it happens twice",
}

_SIGNS = (
    ("this account is currently not available", "the account has no login shell: `chsh` gives one"),
    ("nologin", "the account has no login shell: `chsh` gives one"),
    ("/bin/sh: no such file", "the node has no /bin/sh: flextui can't start anything there"),
    ("/bin/sh: not found", "the node has no /bin/sh: flextui can't start anything there"),
    ("no module named", "its Python lacks a part of the standard library: install the full "
     "python3 package"),
    ("error while loading shared libraries", "its python3 is broken: reinstall it"),
    ("no space left on device", "the disk is full"),
    ("cannot allocate memory", "the node is out of memory"),
    ("resource temporarily unavailable", "the account's process limit is reached: `ulimit -u`"),
    ("cannot fork", "the account's process limit is reached: `ulimit -u`"),
    ("memoryerror", "the node is out of memory"),
    ("pyenv:", "`python3` is a pyenv shim without a version: `pyenv global 3.12`"),
)  # fmt: skip
