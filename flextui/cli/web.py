"""web: the terminal in a browser, on this machine alone."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys

import click

from flextui.cli import output
from flextui.cli.output import FAILED, INPUT, Failure
from flextui.cli.verb import Options, Place, verb


@verb(
    "web",
    "flextui web",
    "flextui web --demo --port 8800",
    "ssh -L 8000:localhost:8000 head flextui web      # from afar, through SSH",
    short_help="Serve the terminal to a browser.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="0: any free one.")  # fmt: skip
@click.option("--bind", "address", metavar="ADDRESS", default="127.0.0.1", show_default=True)
@click.option("--i-know", is_flag=True, help="Allow an address that others can reach.")
@click.option("--read-only", is_flag=True, help="Keys that act do nothing.")
@click.option("--demo", is_flag=True, help="Over a simulated fleet.")
def web(place: Place, port: int, address: str, i_know: bool, read_only: bool, demo: bool) -> int:
    """Serve the terminal to one browser on this machine. The link that it prints works once; the
    browser that opens it keeps a cookie, all others are refused.

    There is no password and no TLS: from another machine, go through SSH.
    """
    try:
        from flextui.cli.webserver import WebTerminal, is_loopback, serve
    except ImportError as error:
        mend = f"`{shlex.quote(sys.executable)} -m pip install textual-serve`"
        missing = f"flextui web needs textual-serve: {mend}"
        raise Failure(FAILED, f"{missing} ({error})") from error
    if not is_loopback(address) and not i_know:
        raise Failure(INPUT, (
            f"{address} can be reached by others, who would act as you: without TLS the link can "
            "be read on its way. Use `ssh -L 8000:localhost:8000 HOST`, or say --i-know"
        ))  # fmt: skip
    listening = _listen(address, port)
    bound = listening.getsockname()[1]
    _for_children(os.environ)
    command = shlex.join(_command(place.options, read_only=read_only, demo=demo))
    shown = f"[{address}]" if ":" in address else address
    server = WebTerminal(command, shown, bound, anywhere=i_know)

    def ready() -> None:
        output.lines([server.link])
        sys.stdout.flush()
        output.say("flextui: the link works once, for one browser; Ctrl-C ends")

    asyncio.run(serve(server, listening, ready))
    return output.DONE


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address.strip("[]"), port), family=family)
    except OSError as error:
        text = f"{address} port {port} can't be served: {error.strerror}; try --port 0"
        raise Failure(FAILED, text) from error


def _command(options: Options, *, read_only: bool, demo: bool) -> list[str]:
    """The terminal as each page runs it."""
    said = (("-i", options.inventory), ("--state-dir", options.state_dir),
            ("--connect", options.connect), ("--socket", options.socket))  # fmt: skip
    words = [word for option, value in said if value for word in (option, value)]
    if demo and words:
        raise Failure(INPUT, "--demo stands alone: it has a fleet and a core of its own")
    flags = [name for name, on in (("--read-only", read_only), ("--demo", demo)) if on]
    return [sys.executable, "-m", "flextui", *words, *flags]


def _for_children(environ: os._Environ[str]) -> None:
    """A browser's terminal has all colours and all letters, whatever this one has."""
    environ["PYTHONUTF8"] = "1"
    environ["TERM"], environ["COLORTERM"] = "xterm-256color", "truecolor"
