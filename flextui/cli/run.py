"""run: one command as a batch job, in the foreground. What `srun` is to Slurm.

The terminal follows the job, it doesn't own it: a lost connection or a detached terminal leaves
the job running.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from flextui.cli import output
from flextui.cli.complete import gpu_models, project_names
from flextui.cli.output import Failure
from flextui.cli.submit import sound
from flextui.cli.verb import Need, Place, json_option, verb
from flextui.core.client import Client
from flextui.core.commands import Source, Submit

_PLACE = re.compile(r"\Arun:\d+:\d+: ")
_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option("--name", help="The job's name; made of the command's if left out."),
    click.option("--gpus", type=click.IntRange(0), metavar="N", help="Whole GPUs."),
    click.option("--gpu-share", metavar="PART|SIZE", help="A part of one GPU: 0.5, or 10GiB."),
    click.option(
        "--gpu-model",
        multiple=True,
        metavar="MODEL",
        shell_complete=gpu_models,
        help="Any of these models.",
    ),
    click.option("--gpu-memory", metavar="SIZE", help="The least memory a GPU must have."),
    click.option("--cpus", type=float, metavar="N", help="Cores; may be fractional."),
    click.option("--memory", metavar="SIZE", help="Main memory, such as 64GiB."),
    click.option("--nodes", type=click.IntRange(1, 1024), metavar="N", help="A gang, one on each."),
    click.option("--where", multiple=True, metavar="LABEL=VALUE", help="Labels, or node=NAME."),
    click.option("--env", "-e", multiple=True, metavar="NAME[=VALUE]", help="Environment."),
    click.option("--workdir", metavar="DIR", help="Where it runs there; `.` is this folder."),
    click.option("--time-limit", metavar="DURATION", help="The longest it may run, such as 4h."),
    click.option("--grace", metavar="DURATION", help="From SIGTERM to SIGKILL."),
    click.option("--priority", type=int, metavar="0..100", help="Higher goes first."),
    click.option(
        "--project", metavar="NAME", shell_complete=project_names, help="Whose quota it uses."
    ),
    click.option("--begin", metavar="TIME", help="Not before that time, or so long from now."),
    click.option("--deadline", metavar="TIME", help="It must have ended by then."),
    click.option(
        "--preempt",
        type=click.Choice(["never", "restart", "resume"]),
        help="What becomes of it when it makes room for others.",
    ),
    click.option("--interactive", is_flag=True, help="Somebody works in it; limited to 8 h."),
)


def _spec_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@verb(
    "run",
    "flextui run -- hostname",
    "flextui run --gpus 2 --gpu-model a100 --workdir . -- python train.py --lr 0.1",
    "flextui run --detach --name sweep -- sh -c './sweep.sh > sweep.txt'",
    short_help="Run a command as a batch job and follow it.",
    context_settings={"allow_interspersed_args": False},
)
@_spec_options
@click.option("--detach", "-d", is_flag=True, help="Hand it in, and don't follow it.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but what the job prints.")
@json_option
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True)
def run(
    place: Place,
    command: tuple[str, ...],
    detach: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run a command as a batch job, show what it prints, and end with its exit status (a signal N
    as 128+N).

    Ctrl-C says how to detach or stop; a second Ctrl-C stops the job. Ctrl-\\ detaches.
    """
    source = Source("run", spec_text(command, options))

    async def act(client: Client) -> int:
        job = (await client.call(Submit((source,))))["jobs"][0]
        if as_json:
            output.document([{key: job[key] for key in ("id", "name", "revision")}])
        if detach:
            if not as_json:
                output.lines([job["id"]])
            return output.DONE
        from flextui.cli.attach import attach

        if output.is_terminal(sys.stderr) and not quiet:
            output.say(f"flextui: {job['id']} {job['name']}")
        return await attach(client, job["id"], job["name"], quiet=quiet)

    try:
        return place.run(act, Need.START, sound((source,)))
    except Failure as failure:
        raise _without_places(failure) from failure


def _without_places(failure: Failure) -> Failure:
    """What is wrong with a line has no place in a file that nobody wrote."""
    wrong = [_PLACE.sub("", line) for line in failure.details]
    if failure.status == output.INPUT and len(wrong) == 1 and wrong[0] != failure.details[0]:
        return Failure(failure.status, f"{wrong[0]}; nothing was changed")
    return Failure(failure.status, failure.text, wrong)


def spec_text(command: tuple[str, ...], options: dict[str, Any]) -> str:
    """The job spec that a command line stands for. Raises Failure for what can't be one."""
    asked = {
        "gpus": options["gpus"],
        "gpu_share": _share(options["gpu_share"]),
        "gpu_model": list(options["gpu_model"]) or None,
        "gpu_memory": options["gpu_memory"],
        "cpus": options["cpus"],
        "memory": options["memory"],
    }
    spec = {
        "name": options["name"] or job_name(command),
        "type": "batch",
        "run": list(command),
        "priority": options["priority"],
        "resources": _given(asked),
        "nodes": options["nodes"],
        "where": _where(options["where"]),
        "env": _environment(options["env"]),
        "workdir": _folder(options["workdir"]),
        "time_limit": options["time_limit"],
        "grace": options["grace"],
        "project": options["project"],
        "begin": options["begin"],
        "deadline": options["deadline"],
        "preempt": options["preempt"],
        "interactive": options["interactive"] or None,
    }
    return _as_yaml(_given(spec))


def job_name(command: tuple[str, ...]) -> str:
    """A name for a job that was given none, of the command's: `run-python`."""
    base = re.sub(r"[^a-z0-9]+", "-", os.path.basename(command[0]).lower()).strip("-")
    return f"run-{base}"[:63].rstrip("-")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, {}, [])}


def _share(given: str | None) -> float | str | None:
    """A part is a number, a size a text."""
    try:
        return None if given is None else float(given)
    except ValueError:
        return given


def _where(pairs: tuple[str, ...]) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--where {pair}: expected LABEL=VALUE")
        if name == "node":
            labels.setdefault("node", []).append(value)
        else:
            labels[name] = value
    return labels


def _environment(pairs: tuple[str, ...]) -> dict[str, str]:
    """Names with values; a name alone takes the value that it has here."""
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals and name not in os.environ:
            raise click.UsageError(f"--env {name}: it isn't set here; expected NAME=VALUE")
        values[name] = value if equals else os.environ[name]
    return values


def _folder(given: str | None) -> str | None:
    """A relative folder is meant from here; below the home it is told as `~/…`, for the account's
    home there may lie elsewhere."""
    if given is None or given.startswith(("/", "~")):
        return given
    here = Path(os.environ.get("PWD") or os.getcwd())
    folder = Path(os.path.normpath(here / given))
    home = Path.home()
    if folder == home or home not in folder.parents:
        return "~" if folder == home else str(folder)
    return f"~/{folder.relative_to(home)}"


def _as_yaml(spec: dict[str, Any]) -> str:
    """The spec as JSON that is YAML as well: YAML has no escape for half a character."""
    text = json.dumps(spec, ensure_ascii=False, indent=1)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        shown = shlex.join(spec["run"]).encode("utf-8", "backslashreplace").decode()
        raise Failure(output.INPUT, f"the command isn't UTF-8: {shown}") from error
    return re.sub(r"[^\n\x20-\x7e]", _escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
