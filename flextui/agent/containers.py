"""Whose container a process runs in, asked without a container library.

A GPU that 'root' holds through Docker tells nobody whom to talk to. So the container's name and
the person behind it are found: by labels, by where its files come from, by the account inside.
Every question has a short time limit, and answers are kept for as long as the container lives.
"""

from __future__ import annotations

import os
import socket
import time

from . import fastjson, limits
from .accounts import user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Tuple

TIMEOUT_S = 0.4
"""For one answer of a container engine."""
ASK_AGAIN_S = 60.0
"""About a container that no engine knew, and an engine that didn't answer in time."""
_ANSWER_BOUND = 1 << 20
_FIRST_PERSON = 1000
_ID_LENGTH = 64
_OWNER_LABELS = ("flextui.owner", "owner", "user", "username")
_PATH_LABELS = (
    "com.docker.compose.project.working_dir",
    "devcontainer.local_folder",
    "vsch.local.folder",
)
_HOMES = ("/home/", "/Users/", "/data/home/", "/export/home/")


class Container:
    """What could be learnt of one container; `name` and `owner` may stay None."""

    __slots__ = ("asked", "attempt", "id", "name", "owner")

    def __init__(self, container: str) -> None:
        self.id = container
        self.name: Optional[str] = None
        self.owner: Optional[str] = None
        self.attempt: Optional[str] = None
        self.asked = -ASK_AGAIN_S

    def facts(self) -> Dict[str, Optional[str]]:
        """The wire's form."""
        return {"id": self.id[:12], "name": self.name, "owner": self.owner}


def container_id(cgroups: str) -> Optional[str]:
    """The container that /proc/PID/cgroup names, for Docker, Podman, containerd and Kubernetes.

    They write it as the last part of the path that holds 64 hex digits, behind a prefix or
    before `.scope`; LXC writes a name.
    """
    for line in cgroups.splitlines():
        path = line.split(":", 2)[-1]
        if "libpod-conmon-" in path:
            continue
        for part in reversed(path.replace(":", "/").split("/")):
            word = part[:-6] if part.endswith(".scope") else part
            found = word[-_ID_LENGTH:]
            if len(found) == _ID_LENGTH and all(c in "0123456789abcdef" for c in found):
                return found
        for part in path.split("/"):
            if part.startswith("lxc.payload."):
                return part[len("lxc.payload.") :]
    return None


class Engines:
    """Asks the container engines of this node that the account may ask."""

    def __init__(self, sockets: Optional[List[str]] = None) -> None:
        self._sockets = _sockets() if sockets is None else sockets
        self._known: Dict[str, Container] = {}
        self._silent: Dict[str, float] = {}

    def describe(self, container: str, uid: Optional[int], outside: Optional[int]) -> Container:
        """The container of a process whose uid on this host is `uid`.

        `outside` is the account that the process's user namespace belongs to (rootless engines).
        """
        found = self._known.get(container)
        if found is None:
            found = self._known[container] = Container(container)
        now = time.monotonic()
        if found.name is None and now - found.asked >= ASK_AGAIN_S:
            found.asked = now
            self._ask(found)
        if found.owner is None:
            found.owner = _person(outside) or _person(uid)
        return found

    def forget_all_but(self, wanted: Iterable[str]) -> None:
        """Drop what is kept of containers that hold no GPU any more."""
        keep = set(wanted)
        for container in [name for name in self._known if name not in keep]:
            del self._known[container]

    def _ask(self, container: Container) -> None:
        for path in self._sockets:
            began = time.monotonic()
            if began < self._silent.get(path, 0.0):
                continue
            answer = get(path, "/containers/%s/json" % container.id)
            if time.monotonic() - began >= TIMEOUT_S:
                self._silent[path] = time.monotonic() + ASK_AGAIN_S
            if isinstance(answer, dict) and answer.get("Id") == container.id:
                container.name = str(answer.get("Name") or "").lstrip("/") or None
                container.attempt = _attempt(answer)
                container.owner = owner(answer)
                return


def _sockets() -> List[str]:
    runtime = os.environ.get("XDG_RUNTIME_DIR") or "/run/user/%d" % os.getuid()
    places = [
        "/var/run/docker.sock",
        runtime + "/docker.sock",
        "/run/podman/podman.sock",
        runtime + "/podman/podman.sock",
    ]
    named = os.environ.get("DOCKER_HOST", "")
    if named.startswith("unix://"):
        places.insert(0, named[len("unix://") :])
    return places


def get(path: str, target: str) -> Any:
    """One GET over a Unix socket: the decoded JSON body, or None for any failure.

    HTTP/1.0, so that the engine closes the connection and sends no chunks.
    """
    if not os.access(path, os.R_OK | os.W_OK):
        return None
    deadline = time.monotonic() + TIMEOUT_S
    data = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(path)
            connection.sendall(b"GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" % target.encode())
            while len(data) < _ANSWER_BOUND:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                part = connection.recv(65536)
                if not part:
                    break
                data += part
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        if head.split(b" ")[1:2] != [b"200"]:
            return None
        return fastjson.loads(body.decode("utf-8", "replace"))
    except (OSError, ValueError):
        return None


def owner(facts: Dict[str, Any]) -> Optional[str]:
    """The person behind a container, from the engine's own description of it."""
    config = facts.get("Config") or {}
    labels = config.get("Labels") or {}
    for label in _OWNER_LABELS:
        if labels.get(label):
            return str(labels[label])[:64]
    paths = [str(labels[label]) for label in _PATH_LABELS if labels.get(label)]
    mounts = [str(mount.get("Source") or "") for mount in facts.get("Mounts") or []]
    for person in (_by_home(paths + mounts), _by_file(paths + mounts)):
        if person:
            return person
    inside = str(config.get("User") or "").split(":")[0]
    if inside.isdigit():
        return _person(int(inside))
    return inside if inside and _uid(inside) is not None else None


def _attempt(facts: Dict[str, Any]) -> Optional[str]:
    for setting in (facts.get("Config") or {}).get("Env") or []:
        name, _, value = str(setting).partition("=")
        if name == "FLEXTUI_ATTEMPT":
            return value
    return None


def _by_home(paths: Iterable[str]) -> Optional[str]:
    for path in paths:
        for homes in _HOMES:
            name = path[len(homes) :].split("/")[0] if path.startswith(homes) else ""
            if name and _uid(name) is not None:
                return name
    return None


def _by_file(paths: Iterable[str]) -> Optional[str]:
    for path in paths:
        try:
            person = _person(os.stat(path).st_uid)
        except (OSError, ValueError):
            continue
        if person:
            return person
    return None


def _uid(name: str) -> Optional[int]:
    import pwd

    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _person(uid: Optional[int]) -> Optional[str]:
    """The account's name if it is a person's; a subordinate uid counts for its owner."""
    if uid is None or uid < _FIRST_PERSON:
        return None
    name = user_name(uid)
    if not name.isdigit():
        return None if name == "nobody" else name
    return subordinate_owner(uid, limits.read("/etc/subuid"))


def subordinate_owner(uid: int, subuid: str) -> Optional[str]:
    """Whose range of /etc/subuid a uid lies in: rootless containers run as such uids."""
    for line in subuid.splitlines():
        parts = line.split(":")
        if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
            first = int(parts[1])
            if first <= uid < first + int(parts[2]):
                return user_name(int(parts[0])) if parts[0].isdigit() else parts[0]
    return None


def namespace_owner(uid_map: str) -> Optional[int]:
    """The account outside that a user namespace belongs to, from /proc/PID/uid_map.

    Rootless engines map one id to the account itself, then a range of subordinate ids; the
    machine's own namespace maps everything to itself.
    """
    ranges: List[Tuple[int, int, int]] = []
    for line in uid_map.splitlines():
        parts = line.split()
        if len(parts) == 3 and all(part.isdigit() for part in parts):
            ranges.append((int(parts[0]), int(parts[1]), int(parts[2])))
    for _, outside, length in ranges:
        if length == 1 and outside >= _FIRST_PERSON:
            return outside
    return None
