"""One client's connection, served: requests in, answers and streams out.

Everything a client can do wrong ends with an error line to it or with its connection. A client
that doesn't read holds up only its own streams, and is dropped after a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

from flextui.core import asked, wire
from flextui.core.client import Client, CoreInfo
from flextui.core.commands import CommandError
from flextui.core.model.docs import ShellInput
from flextui.core.wire import Message, WireError

log = logging.getLogger(__name__)

MAX_OPEN = 256
"""Requests and streams of one connection at a time."""
MAX_CALLS = 32
"""Calls that are worked on at a time; further lines wait in the socket."""
HELLO_S = 10.0
UNREAD_S = 60.0
"""A client that takes nothing for this long is dropped."""
ENCODE_IN_THREAD = 500


class Connection:
    """Serves one connected peer until it goes away."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        client: Callable[[], Client],
        digest: str,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._make_client = client
        self._digest = digest
        self._sending = asyncio.Lock()
        self._open: dict[int, asyncio.Task[None]] = {}
        self._credit: dict[int, asyncio.Semaphore] = {}
        self._inputs: dict[int, asyncio.Queue[ShellInput]] = {}
        """What programs are told; who sends more than was taken breaks the rules."""
        self._calls = asyncio.Semaphore(MAX_CALLS)

    async def serve(self) -> None:
        """Until the peer leaves or breaks the rules. Never raises."""
        try:
            client = self._make_client()
            if await self._greet(client.info):
                await self._requests(client)
        except (WireError, ValueError, TimeoutError) as error:
            await self._complain(f"{error}" or "nothing was said in time")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception:
            log.exception("serving a client")
        finally:
            tasks = list(self._open.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writer.close()

    async def _greet(self, info: CoreInfo) -> bool:
        async with asyncio.timeout(HELLO_S):
            line = await self._reader.readline()
        hello = wire.decode(line)
        if hello["t"] != "hello":
            raise WireError("expected a hello first")
        if why := wire.refusal(hello, info, self._digest):
            await self._send({"t": "refused", "text": why})
            return False
        await self._send(wire.core_hello(info))
        return True

    async def _requests(self, client: Client) -> None:
        while line := await self._reader.readline():
            message = wire.decode(line)
            key = message.get("id")
            if type(key) is not int:
                raise WireError("expected a number as id")
            match message["t"]:
                case "call":
                    await self._calls.acquire()
                    self._begin(key, self._call(client, key, message))
                case "open":
                    self._credit[key] = asyncio.Semaphore(wire.WINDOW)
                    if message.get("stream") == "shell":
                        self._inputs[key] = asyncio.Queue(2 * wire.WINDOW)
                    self._begin(key, self._stream(client, key, message))
                case "input":
                    self._tell(key, message.get("value"))
                case "more":
                    self._more(key, message.get("n"))
                case "cancel":
                    if key in self._open:
                        self._open[key].cancel()
                case other:
                    await self._fail(key, CommandError("input", f"no request {other!r:.40}"))

    def _begin(self, key: int, work: Any) -> None:
        if key in self._open or len(self._open) >= MAX_OPEN:
            work.close()
            raise WireError(f"id {key} is in use, or too many requests are open")
        task = asyncio.get_running_loop().create_task(work)
        if not task.done():
            self._open[key] = task
            task.add_done_callback(lambda _: self._end(key))
        else:
            self._end(key)

    def _end(self, key: int) -> None:
        self._open.pop(key, None)
        self._credit.pop(key, None)
        self._inputs.pop(key, None)

    def _tell(self, key: int, value: object) -> None:
        inputs = self._inputs.get(key)
        if inputs is None:
            return
        if inputs.full() or not isinstance(value, dict):
            raise WireError("more input than the program has taken, or none at all")
        inputs.put_nowait(cast(ShellInput, value))

    def _more(self, key: int, number: object) -> None:
        credit = self._credit.get(key)
        if credit is not None and type(number) is int and 0 < number <= wire.WINDOW:
            for _ in range(number):
                credit.release()

    # ── answers ────────────────────────────────────────────────────────────────────────────────

    async def _call(self, client: Client, key: int, message: Message) -> None:
        try:
            answer = await client.call(asked.command_of(message))
            await self._send({"t": "result", "id": key, "value": answer})
        except CommandError as error:
            await self._fail(key, error)
        except WireError as error:
            await self._fail(key, CommandError("input", str(error)))
        except ConnectionError:
            self._writer.close()
        except Exception as error:
            log.exception("answering a client")
            await self._fail(key, CommandError("failed", f"flextui's own failure: {error!r}"))
        finally:
            self._calls.release()

    async def _stream(self, client: Client, key: int, message: Message) -> None:
        credit = self._credit[key]
        try:
            inputs = self._inputs.get(key)
            async with contextlib.aclosing(_opened(client, message, inputs)) as items:
                async for item in items:
                    await credit.acquire()
                    await self._send({"t": "item", "id": key, "value": item})
            await self._send({"t": "end", "id": key})
        except CommandError as error:
            await self._fail(key, error)
        except WireError as error:
            await self._fail(key, CommandError("input", str(error)))
        except ConnectionError:
            self._writer.close()  # the core ends, or the client is gone
        except Exception as error:
            log.exception("a client's stream")
            await self._fail(key, CommandError("failed", f"flextui's own failure: {error!r}"))

    async def _fail(self, key: int, error: CommandError) -> None:
        with contextlib.suppress(ConnectionError):
            await self._send({"id": key, **wire.error_message(error)})

    async def _send(self, message: Message) -> None:
        """One line out; waits while the client doesn't read. Raises `ConnectionError`."""
        value = message.get("value")
        if isinstance(value, dict) and len(value.get("jobs") or ()) > ENCODE_IN_THREAD:
            line = await asyncio.to_thread(wire.encode, message)
        else:
            line = wire.encode(message)
        async with self._sending:
            if self._writer.is_closing():
                raise ConnectionResetError("the client is gone")
            self._writer.write(line)
            try:
                async with asyncio.timeout(UNREAD_S):
                    await self._writer.drain()
            except TimeoutError:
                self._writer.transport.abort()
                raise ConnectionResetError("the client doesn't read") from None

    async def _complain(self, text: str) -> None:
        """Tell a client what it did wrong before it is dropped."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._send({"t": "refused", "text": f"protocol error: {text}"})


async def _opened(
    client: Client, message: Message, inputs: asyncio.Queue[ShellInput] | None
) -> AsyncGenerator[Any, None]:
    """The items of the stream that a request opens."""
    args = message.get("args") or {}
    if not isinstance(args, dict):
        raise WireError("expected the arguments as an object")
    stream: Any
    match message.get("stream"):
        case "watch":
            stream = client.watch()
        case "logs":
            stream = client.logs(asked.log_request_of(args))
        case "events":
            stream = client.events(after=asked.after_of(args))
        case "shell" if inputs is not None:
            stream = client.shell(asked.shell_request_of(args), _taken(inputs))
        case other:
            raise WireError(f"there is no stream {other!r:.40}")
    async with contextlib.aclosing(stream):
        async for item in stream:
            yield item


async def _taken(inputs: asyncio.Queue[ShellInput]) -> AsyncGenerator[ShellInput, None]:
    """Inputs as they come in."""
    while True:
        yield await inputs.get()
