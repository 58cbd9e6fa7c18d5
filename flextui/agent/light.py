"""The standard library's C cores, without the Python that wraps them.

Two hundred agents may start at once, some of them on one small machine. `socket` and `signal`
build enums, `collections` and `struct` load more than is used: ten milliseconds of processor time
and a megabyte each time. What is imported here has the same names and meaning as in the wrappers.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as signal
    from collections import deque as deque
    from heapq import heappop as heappop
    from heapq import heappush as heappush
    from socket import AF_UNIX as AF_UNIX
    from socket import SOCK_DGRAM as SOCK_DGRAM
    from socket import SOCK_STREAM as SOCK_STREAM
    from socket import socket
    from socket import socketpair as socketpair
else:
    import _signal as signal  # noqa: F401
    from _collections import deque  # noqa: F401
    from _heapq import heappop, heappush  # noqa: F401
    from _socket import AF_UNIX, SOCK_DGRAM, SOCK_STREAM, socket, socketpair  # noqa: F401

Socket = socket
