"""schema, whoami, completion, shutdown: the core, the caller and the shell."""

from __future__ import annotations

import os
from pathlib import Path

import click

from flextui.cli import output, text
from flextui.cli.output import Failure
from flextui.cli.verb import Place, json_option, verb, yes_option
from flextui.core.client import Client
from flextui.core.commands import Shutdown, WhoAmI

_SHELLS = ("bash", "zsh", "fish")


@verb("schema", "flextui schema > job.schema.json", short_help="Print the spec's JSON Schema.")
def schema(place: Place) -> None:
    """Print the JSON Schema of the job spec, for editors. Needs no core."""
    from flextui.core.model.schema import json_schema

    output.document(json_schema())


@verb("whoami", "flextui whoami", short_help="Tell who the core says you are.")
@json_option
def whoami(place: Place, as_json: bool) -> None:
    """Tell who the core says you are, as the kernel told it, and what you may do."""
    answer = place.ask(WhoAmI())
    if as_json:
        output.document(answer)
        return
    role = "admin: may act on every job" if answer["admin"] else "may act on one's own jobs"
    groups = f", groups {', '.join(answer['groups'])}" if answer["groups"] else ""
    line = f"{answer['user']} (uid {answer['uid']}{groups}) on {answer['core']}; {role}"
    output.lines([text.clean(line)])


@verb("shutdown", "flextui shutdown --yes", short_help="End the core; jobs go on running.")
@yes_option
@json_option
def shutdown(place: Place, yes: bool, as_json: bool) -> None:
    """End the core. What runs goes on running; nothing is started, restarted or shown until a core
    runs again.
    """

    async def act(client: Client) -> None:
        info = client.info
        if not yes:
            effect = "what runs goes on; nothing is started or restarted until a core runs again"
            output.confirm(f"End the core {info.core} (pid {info.pid})?", [effect])
        answer = await client.call(Shutdown())
        if as_json:
            output.document(answer)
        else:
            output.say(f"flextui: the core {info.core} (pid {info.pid}) ends")

    place.run(act)


@verb(
    "completion",
    "flextui completion bash >> ~/.bashrc",
    "flextui completion zsh >> ~/.zshrc",
    "flextui completion fish > ~/.config/fish/completions/flextui.fish",
    short_help="Print what makes the shell complete commands and names.",
)
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
def completion(place: Place, shell: str | None) -> None:
    """Print the script that makes a shell complete commands, options and live names."""
    from click.shell_completion import get_completion_class

    from flextui.cli.root import cli

    shell = shell or Path(os.environ.get("SHELL", "")).name
    if shell not in _SHELLS:
        raise Failure(output.INPUT, f"name the shell: one of {', '.join(_SHELLS)}")
    maker = get_completion_class(shell)
    assert maker is not None
    output.write(maker(cli, {}, "flextui", "_FLEXTUI_COMPLETE").source() + "\n")
