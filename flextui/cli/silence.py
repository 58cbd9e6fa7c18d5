"""silence, unsilence: problems that are known, and not to be heard of for a while."""

from __future__ import annotations

import click

from flextui.cli import output, text
from flextui.cli.complete import problem_ids, silenced_ids
from flextui.cli.verb import Place, json_option, verb
from flextui.core.commands import Silence, Unsilence
from flextui.core.model.units import parse_duration


@verb(
    "silence",
    "flextui silence node:gpu4 --for 3d --why 'new board on Thursday'",
    "flextui problems --json | jq -r '.[] | select(.kind == \"idle\") | .id'"
    " | xargs flextui silence --for 8h",
    short_help="Hear no more of problems that are known.",
)
@click.argument(
    "problems", metavar="PROBLEM...", nargs=-1, required=True, shell_complete=problem_ids
)
@click.option("--for", "span", default="8h", metavar="DURATION", help="So long; 8h if not given.")
@click.option("--why", default="", metavar="TEXT", help="Shown to everyone who asks.")
@json_option
def silence(place: Place, problems: tuple[str, ...], span: str, why: str, as_json: bool) -> None:
    """Hear no more of problems that are known, for a while. They are listed as silenced and not
    counted, and heard of again when they get worse. PROBLEM is an id of `flextui problems`, or
    what only one begins with. For admins, and owners of the job that it is about.
    """
    try:
        seconds = parse_duration(span)
    except ValueError as error:
        raise click.UsageError(f"--for {span}: {error}") from error
    answer = place.ask(Silence(problems, seconds, why))
    if as_json:
        output.document(answer)
    else:
        until = text.clock(answer["until"])
        output.lines([text.clean(f"{it} is silenced until {until}") for it in answer["problems"]])


@verb("unsilence", "flextui unsilence node:gpu4", short_help="Hear of silenced problems again.")
@click.argument(
    "problems", metavar="PROBLEM...", nargs=-1, required=True, shell_complete=silenced_ids
)
@json_option
def unsilence(place: Place, problems: tuple[str, ...], as_json: bool) -> None:
    """Hear of silenced problems again. What somebody else has silenced, only an admin ends."""
    answer = place.ask(Unsilence(problems))
    if as_json:
        output.document(answer)
    else:
        output.lines([text.clean(f"{it} is heard of again") for it in answer["problems"]])
