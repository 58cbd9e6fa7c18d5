"""Turns at connecting: bounded, given back, and never lost to a machine that hangs."""

from __future__ import annotations

import asyncio
import time

import pytest

from flextui.core.adapters.pacer import FIRST, LEAST, Pacer


async def test_no_more_turns_than_the_limit_and_all_get_one() -> None:
    pacer = Pacer()
    at_once = most = 0

    async def connect() -> None:
        nonlocal at_once, most
        async with pacer.turn() as turn:
            await turn.take()
            at_once += 1
            most = max(most, at_once - pacer.limit)
            await asyncio.sleep(0)
            at_once -= 1

    async with asyncio.timeout(20):
        await asyncio.gather(*(connect() for _ in range(100)))
    assert most <= 0
    assert at_once == 0


async def test_the_limit_grows_while_the_loop_is_on_time() -> None:
    pacer = Pacer()

    async def connect() -> None:
        async with pacer.turn() as turn:
            await turn.take()
            await asyncio.sleep(0)

    await asyncio.gather(*(connect() for _ in range(100)))
    assert pacer.limit > FIRST


async def test_the_limit_shrinks_when_the_loop_is_late() -> None:
    pacer = Pacer()
    async with pacer.turn() as turn:
        await turn.take()
        async with asyncio.timeout(20):
            while pacer.limit > LEAST:
                time.sleep(0.05)  # noqa: ASYNC251  the loop is held on purpose
                await asyncio.sleep(0)
    assert pacer.limit == LEAST


async def test_a_machine_that_hangs_gives_its_turn_back() -> None:
    pacer = Pacer()
    pacer.limit = 1
    async with pacer.turn() as hanging, pacer.turn() as next_one:
        await hanging.take(0.01)
        async with asyncio.timeout(20):
            await next_one.take()


async def test_a_cancelled_wait_takes_no_turn_away() -> None:
    pacer = Pacer()
    pacer.limit = 1
    async with pacer.turn() as first:
        await first.take()
        async with pacer.turn() as given_up:
            waiting = asyncio.ensure_future(given_up.take())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    async with pacer.turn() as second:
        async with asyncio.timeout(20):
            await second.take()
