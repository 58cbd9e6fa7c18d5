"""When telemetry is taken and where it goes; what it is, the sampler knows."""

from __future__ import annotations

from .sample import Sampler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List

    from .channel import Channel
    from .loop import Loop
    from .wire import Message


class Telemetry:
    """A sampler on the agent's loop, until close()."""

    def __init__(
        self,
        loop: Loop,
        channel: Channel,
        attempts: Callable[[], Dict[str, int]],
        disk: str,
        interval_s: float,
    ) -> None:
        """Sample each `interval_s`; `attempts` and `disk` are the sampler's."""
        self._loop = loop
        self._channel = channel
        self._sampler = Sampler(attempts, disk, interval_s)
        self._watched: List[int] = []
        self._sampler.start()
        self._tick()
        loop.every(interval_s, self._tick)

    def last(self) -> Message:
        """The newest sample."""
        return self._sampler.last

    def close(self) -> None:
        """End the sampler's child."""
        self._sampler.close()

    def _tick(self) -> None:
        self._channel.telemetry(self._sampler.tick())
        self._watch()

    def _on_readable(self, fd: int) -> None:
        for message in self._sampler.on_readable(fd):
            if message["t"] == "sample":
                self._channel.telemetry(message)
            else:
                self._channel.push(message)
        self._watch()

    def _watch(self) -> None:
        """Follow the sampler's descriptors, which change when its child is replaced."""
        files = self._sampler.files()
        if files == self._watched:
            return
        for fd in self._watched:
            self._loop.forget(fd)
        for fd in files:
            self._loop.reader(fd, lambda fd=fd: self._on_readable(fd))  # type: ignore[misc]
        self._watched = files
