"""submit, plan, validate: spec files on their way to a core, or just read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from flextui.cli import output, page, text
from flextui.cli.complete import job_names
from flextui.cli.output import Failure
from flextui.cli.table import Cell, Column, render
from flextui.cli.verb import Need, Place, Sound, json_option, so_many, verb
from flextui.core.client import Client
from flextui.core.commands import Plan, Source, Submit
from flextui.core.model.problems import Problem
from flextui.screens import format as fmt

_PLAN = (Column("TASK", right=True), Column("NODE"), Column("GPUS"), Column("REASON", shrink=1))
_ACTIONS = {"create": "new job", "revise": "new revision", "unchanged": "unchanged"}
_files = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
_wait = click.option(
    "--wait", is_flag=True, help="Wait until they end; exit with the job's status."
)


@verb(
    "submit",
    "flextui submit train.yaml",
    "flextui submit --wait prepare.yaml && flextui submit train.yaml",
    "generate-spec | flextui submit -",
    short_help="Hand in jobs.",
)
@_files
@_wait
@json_option
def submit(place: Place, files: tuple[str, ...], wait: bool, as_json: bool) -> int:
    """Hand in the jobs of spec files, all or none. `-` reads stdin.

    It returns as soon as the jobs are kept for good. A name that is known makes a new revision of
    a service, and a new run of a batch job.
    """
    sources = read_sources(files)
    return place.run(
        lambda client: _hand_in(client, sources, wait=wait, as_json=as_json),
        Need.START,
        sound(sources),
    )


async def _hand_in(
    client: Client, sources: tuple[Source, ...], *, wait: bool, as_json: bool
) -> int:
    jobs = (await client.call(Submit(sources)))["jobs"]
    if as_json:
        output.document([{key: job[key] for key in ("id", "name", "revision")} for job in jobs])
    else:
        output.lines(_submitted(job) for job in jobs)
    if not wait:
        return output.DONE
    from flextui.cli.follow import until_ended, worst_status

    return worst_status(await until_ended(client, [job["id"] for job in jobs], tell=True))


def _submitted(job: Mapping[str, Any]) -> str:
    glyph = output.is_terminal(sys.stdout)
    word, _ = text.state(job["state"], glyph=glyph)
    revision = f" rev {job['revision']}" if job["revision"] > 1 else ""
    line = f"{job['id']} {job['owner']}/{job['name']}{revision} {word}"
    return text.clean(f"{line}: {fmt.local_times(job['reason'])}" if job["reason"] else line)


@verb(
    "rerun",
    "flextui rerun train-resnet",
    "flextui rerun j17 --wait",
    short_help="Run a batch job again.",
)
@click.argument("job", shell_complete=job_names)
@_wait
@json_option
def rerun(place: Place, job: str, wait: bool, as_json: bool) -> int:
    """Hand in a batch job's spec once more: a new run with an id of its own, whether or not the
    earlier one has ended. Somebody else's job becomes a run of one's own.
    """

    async def act(client: Client) -> int:
        from flextui.cli.edit import spec_of

        written, doc = await spec_of(client, job, None)
        if doc["type"] != "batch":
            mend = f"`flextui restart {job}` starts it anew"
            raise Failure(output.INPUT, f"{doc['name']} is a {doc['type']} job: {mend}")
        return await _hand_in(client, (Source(job, written),), wait=wait, as_json=as_json)

    return place.run(act)


@verb(
    "plan",
    "flextui plan train.yaml",
    "flextui plan --json *.yaml",
    short_help="Tell what submitting would do.",
)
@_files
@json_option
def plan(place: Place, files: tuple[str, ...], as_json: bool) -> None:
    """Tell what submitting these files would do, and where each task would go now, or why it would
    wait. Nothing is changed.
    """
    sources = read_sources(files)
    answer = place.ask(Plan(sources), sound=sound(sources))
    if as_json:
        output.document(answer)
        return
    for job in answer["jobs"]:
        output.lines(_planned(job))
        for warning in job.get("warnings", ()):
            output.say(f"flextui: warning: {job['name']}: {warning}")


def _planned(job: Mapping[str, Any]) -> Iterable[str]:
    yield text.clean(f"{job['name']}: {_ACTIONS.get(job['action'], job['action'])}")
    yield from (f"  {text.clean(_change(change))}" for change in job.get("diff") or ())
    rows = [
        (
            str(task["index"]),
            task["node"] or Cell("waits", "yellow"),
            _gpus(task),
            task.get("reason") or "",
        )
        for task in job["tasks"]
    ]
    if rows:
        table = render(_PLAN, rows, width=output.width(), colour=output.colour_on(sys.stdout))
        yield from (f"  {line}" for line in table)
    waits = [task for task in job["tasks"] if task.get("why")]
    for task in waits[:1]:  # the others of a job mostly wait for the same
        yield f"  task {task['index']} would wait:"
        yield from (f"  {line}" for line in page.waiting_lines(task["why"], page.look()))


def _gpus(task: Mapping[str, Any]) -> str:
    part = f" ({task['gpu_share']:g} of it)" if task.get("gpu_share") else ""
    return text.joined(str(gpu) for gpu in task["gpus"]) + part


def _change(change: Mapping[str, Any]) -> str:
    return f"{change['field']}: {_value(change['old'])} -> {_value(change['new'])}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@verb(
    "validate",
    "flextui validate train.yaml",
    "flextui validate jobs/*.yaml",
    short_help="Read spec files and tell every mistake.",
)
@_files
@json_option
def validate(place: Place, files: tuple[str, ...], as_json: bool) -> int:
    """Read spec files and tell every mistake with its line and column. Needs no core."""
    from flextui.core.model.problems import BadInput
    from flextui.core.model.spec import read_specs

    problems: list[Problem] = []
    found: list[dict[str, Any]] = []
    for name in files:
        try:
            shown, data = _read(name)
            specs = read_specs(data, shown)
        except BadInput as error:
            problems += error.problems
            continue
        found += [{"file": shown, "name": spec.name, "type": spec.type} for spec in specs]
        if not as_json:
            output.lines(text.clean(f"ok {shown}: {spec.name} ({spec.type})") for spec in specs)
    if as_json:
        wrong = [_place(problem) for problem in problems]
        output.document({"ok": not wrong, "jobs": found, "problems": wrong})
    if problems:
        raise Failure(output.INPUT, so_many(len(problems)), map(str, problems))
    return output.DONE


def _place(problem: Problem) -> dict[str, Any]:
    names = ("file", "line", "column", "message", "expected", "nearest")
    return {name: getattr(problem, name) for name in names}


def read_sources(files: Iterable[str]) -> tuple[Source, ...]:
    """The files as they are; the core reads them.

    Raises Failure with every file that can't be read, is too big or isn't text.
    """
    from flextui.core.model.document import MAX_BYTES, load
    from flextui.core.model.problems import BadInput

    sources: list[Source] = []
    problems: list[Problem] = []
    for name in files:
        try:
            shown, data = _read(name)
            if len(data) > MAX_BYTES:
                raise BadInput(load(data, shown)[1])
            sources.append(Source(shown, data.decode("utf-8")))
        except BadInput as error:
            problems += error.problems
        except UnicodeDecodeError:
            problems += load(data, shown)[1]
    if problems:
        raise Failure(output.INPUT, so_many(len(problems)), map(str, problems))
    return tuple(sources)


def sound(sources: Iterable[Source]) -> Sound:
    """What a core would say of these specs by themselves, where none runs."""

    def check() -> None:
        from flextui.core.model.problems import BadInput
        from flextui.core.model.spec import read_specs

        problems: list[Problem] = []
        for source in sources:
            try:
                read_specs(source.text, source.name)
            except BadInput as error:
                problems += error.problems
        if problems:
            raise Failure(output.INPUT, so_many(len(problems)), map(str, problems))

    return check


def _read(name: str) -> tuple[str, bytes]:
    """How the file is called in messages, and its bytes. Raises BadInput."""
    from flextui.core.model.document import MAX_BYTES, read_file

    if name != "-":
        return name, read_file(name)
    return "<stdin>", sys.stdin.buffer.read(MAX_BYTES + 1)
