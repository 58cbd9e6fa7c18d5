"""Cuts a byte stream into lines, however it arrives, and never holds more than one line's bound."""

from __future__ import annotations


class LineSplitter:
    """Feed chunks, get whole lines without their newline. Longer lines are dropped and counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False
        self.dropped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in this chunk."""
        if b"\n" not in data:
            self._keep(data)
            return []
        first, *lines = data.split(b"\n")
        tail = lines.pop()
        complete = []
        head = bytes(self._rest) + first if self._rest else first
        self._rest.clear()
        if self._skipping:
            self._skipping = False
        else:
            lines.insert(0, head)
        for line in lines:
            if len(line) > self._limit:
                self.dropped += 1
            else:
                complete.append(line)
        self._keep(tail)
        return complete

    def rest(self) -> bytes:
        """What came after the last newline."""
        return bytes(self._rest)

    def _keep(self, data: bytes) -> None:
        if self._skipping:
            return
        self._rest += data
        if len(self._rest) > self._limit:
            self._rest.clear()
            self._skipping = True
            self.dropped += 1
