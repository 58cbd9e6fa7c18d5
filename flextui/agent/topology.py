"""Where the GPUs sit: beside which CPUs, and how near to each other.

It takes hundreds of calls on a box with eight GPUs, and none of it changes while the box runs: so
it is asked once, and again when there are other devices. What a card or platform can't tell is
left out, and then nobody prefers anything because of it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence

    from .device import Device

    Links = Dict[str, int]  # PCI address of what is at the other end → how many

NVLINK = 100
"""Devices that are joined by N links are N nearer than this."""
NEAREST_PATH = 50
"""Of one board; NVML counts from there to the other socket, in tens."""
_NODES = 16
"""Words of a set of memory nodes: room for the kernel's 1,024."""


def places(nvml: Any, gpus: Sequence[Device]) -> Dict[str, Any]:
    """The wire's places of all devices. A slice sits where its GPU does; slices are joined to
    nothing, since CUDA gives a process one of them."""
    found: Dict[str, Any] = {}
    for gpu in gpus:
        place = {"numa": gpu.numa(), "cpus": as_list(_near_cpus(nvml, gpu))}
        place = {name: value for name, value in place.items() if value not in (None, "")}
        for piece in gpu.slices or ():
            found[piece.uuid] = dict(place)
        found[gpu.uuid] = dict(place, near={})
    links = {gpu.uuid: _links(nvml, gpu) for gpu in gpus}
    for number, one in enumerate(gpus):
        for other in gpus[number + 1 :]:
            nearness = _by_links(nvml, one, other, links) or _by_path(nvml, one, other)
            if nearness is not None:
                found[one.uuid]["near"][other.uuid] = nearness
                found[other.uuid]["near"][one.uuid] = nearness
    return found


def numa(nvml: Any, handle: Any, address: str) -> Optional[int]:
    """The memory node of the CPUs beside a GPU; None where the platform doesn't say."""
    words = _tell(nvml, nvml.nvmlDeviceGetMemoryAffinity, handle, _NODES, 0)
    nodes = _bits(words or ())
    if nodes:
        return nodes[0]
    node = _of_bus(address, "numa_node")
    return int(node) if node.isdigit() else None


def as_list(cpus: Sequence[int]) -> str:
    """Ascending numbers as the kernel writes them: 0-15,32-47."""
    ranges: List[List[int]] = []
    for cpu in cpus:
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join("%d" % a if a == b else "%d-%d" % (a, b) for a, b in ranges)


def _near_cpus(nvml: Any, gpu: Device) -> List[int]:
    """The CPUs near a GPU that this account may use."""
    allowed = os.sched_getaffinity(0)
    words = (max(allowed) + 64) // 64
    near = _bits(_tell(nvml, nvml.nvmlDeviceGetCpuAffinity, gpu.handle, words) or ())
    if not near:
        near = _bits_of_hex(_of_bus(gpu.address, "local_cpus"))
    return sorted(allowed.intersection(near))


def _bits(words: Sequence[int]) -> List[int]:
    """Numbers of the bits that are set in 64-bit words."""
    return [64 * place + bit for place, word in enumerate(words) for bit in _set_bits(word)]


def _bits_of_hex(mask: str) -> List[int]:
    """The same of a mask as the kernel writes it: ffff,0000ffff."""
    try:
        return _set_bits(int(mask.replace(",", ""), 16))
    except ValueError:
        return []


def _set_bits(word: int) -> List[int]:
    return [bit for bit in range(int(word).bit_length()) if word >> bit & 1]


def _of_bus(address: str, name: str) -> str:
    """What the kernel knows of a device on the bus; empty if nothing."""
    try:
        with open("/sys/bus/pci/devices/%s/%s" % (address, name)) as file:
            return file.read().strip()
    except OSError:
        return ""


# how near two GPUs are to each other


def _links(nvml: Any, gpu: Device) -> Dict[bool, Links]:
    """The active NVLinks of a GPU: those to other GPUs (False) and those to switches (True)."""
    found: Dict[bool, Links] = {False: {}, True: {}}
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        if not _tell(nvml, nvml.nvmlDeviceGetNvLinkState, gpu.handle, link):
            continue
        pci = _tell(nvml, nvml.nvmlDeviceGetNvLinkRemotePciInfo, gpu.handle, link)
        if pci is None:
            continue
        kind = _tell(nvml, nvml.nvmlDeviceGetNvLinkRemoteDeviceType, gpu.handle, link)
        ends = found[kind == nvml.NVML_NVLINK_DEVICE_TYPE_SWITCH]
        end = bus_address(pci)
        ends[end] = ends.get(end, 0) + 1
    return found


def _by_links(
    nvml: Any, one: Device, other: Device, links: Dict[str, Dict[bool, Links]]
) -> Optional[int]:
    """Nearness by NVLink, direct or through switches that both are joined to."""
    count = links[one.uuid][False].get(other.address, 0)
    mine, theirs = links[one.uuid][True], links[other.uuid][True]
    switched = sum(min(mine[end], theirs[end]) for end in mine.keys() & theirs.keys())
    if switched and _may_talk(nvml, one, other):
        count += switched
    return NVLINK + count if count else None


def _may_talk(nvml: Any, one: Device, other: Device) -> bool:
    """Whether the switches let these two talk: a fabric may be divided among virtual machines."""
    by_link = nvml.NVML_P2P_CAPS_INDEX_NVLINK
    status = _tell(nvml, nvml.nvmlDeviceGetP2PStatus, one.handle, other.handle, by_link)
    return status in (None, nvml.NVML_P2P_STATUS_OK)


def _by_path(nvml: Any, one: Device, other: Device) -> Optional[int]:
    """Nearness by what their ways over PCIe have in common."""
    level = _tell(nvml, nvml.nvmlDeviceGetTopologyCommonAncestor, one.handle, other.handle)
    return None if level is None else max(0, NEAREST_PATH - int(level))


def bus_address(pci: Any) -> str:
    """A PCI address as the kernel writes it: 0000:17:00.0."""
    address = pci.busId.decode() if isinstance(pci.busId, bytes) else str(pci.busId)
    return address[-12:].lower()


def _tell(nvml: Any, call: Callable[..., Any], *arguments: Any) -> Any:
    """One value, or None where it can't be told."""
    try:
        return call(*arguments)
    except nvml.NVMLError:
        return None
