"""Tells a dead peer from a quiet one, and either from a core that itself was stopped."""

from __future__ import annotations

import asyncio

from flextui.core.adapters.backoff import Pace
from flextui.core.adapters.channel import Channel


class Watchdog:
    """Notices a dead peer: silence is asked about, then ends the link. Shows that we live, too."""

    def __init__(self, channel: Channel, pace: Pace) -> None:
        self._channel = channel
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._arm()

    def stop(self) -> None:
        self._timer.cancel()

    def _arm(self) -> None:
        self._due = self._loop.time() + self._pace.tick_s
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        if now - self._due > self._pace.tick_s:
            self._channel.last_heard = now  # this process was stopped: the silence was its own
        silent = now - self._channel.last_heard
        if silent >= self._pace.silent_s:
            self._channel.give_up(f"nothing heard for {silent:.0f} s")
            return
        if self._channel.oldest_request_age() > self._pace.answer_s:
            self._channel.give_up(f"a request had no answer for {self._pace.answer_s:.0f} s")
            return
        if silent >= self._pace.ping_s or now - self._channel.last_said >= self._pace.word_s:
            self._channel.ping()
        self._arm()
