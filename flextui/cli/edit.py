"""edit, rollback: changing a job that lives, with a look at what that does before it is done."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import click

from flextui.cli import output, text
from flextui.cli.complete import job_names
from flextui.cli.output import Failure
from flextui.cli.submit import read_sources
from flextui.cli.verb import Place, json_option, problem_line, refused, verb, yes_option
from flextui.core.client import Client
from flextui.core.commands import CommandError, Plan, Revise, Revisions, Show, Source, Submit
from flextui.core.model.docs import JobDoc
from flextui.screens.editing.external import NoEditor, Scratch
from flextui.screens.editing.review import effect_spans, field_lines, unified
from flextui.screens.format import Span

_COLOURS = {"add": "green", "del": "red", "accent": "blue", "dim": "dim", "warn": "yellow",
            "ok": "green"}  # fmt: skip
_job = click.argument("job", shell_complete=job_names)


@dataclass(frozen=True, slots=True)
class Subject:
    """The job that is edited, as it was when one began."""

    doc: JobDoc
    text: str

    @property
    def live(self) -> bool:
        return self.doc["ended_at"] is None

    @property
    def full(self) -> str:
        return f"{self.doc['owner']}/{self.doc['name']}"


@verb(
    "edit",
    "flextui edit train-resnet",
    "flextui show train-resnet --spec | sed s/0.1/0.05/ | flextui edit train-resnet -f - --yes",
    "flextui edit chat-api -f chat.yaml --base 3",
    short_help="Change a job.",
)
@_job
@click.option("-f", "--file", metavar="FILE", type=click.Path(),
              help="Take the text from there; `-`: stdin.")  # fmt: skip
@click.option("--base", type=click.IntRange(1), metavar="REV",
              help="Refuse if the job is at another revision by now.")  # fmt: skip
@yes_option
@json_option
def edit(
    place: Place, job: str, file: str | None, base: int | None, yes: bool, as_json: bool
) -> None:
    """Change a job in your editor ($VISUAL, $EDITOR). It shows the difference and which tasks
    start anew, then asks. A text that is refused comes back into the editor and is never lost.

    A job that has ended is submitted again instead.
    """

    async def act(client: Client) -> None:
        subject = await _subject(client, job)
        if file is not None:
            (source,) = read_sources((file,))
            await _apply(client, subject, source, base or 0, yes, as_json)
            return
        if not output.is_terminal(sys.stdin):
            raise Failure(output.INPUT, "there is no terminal here: give the text with -f FILE")
        await _in_editor(client, subject, yes, as_json)

    place.run(act)


@verb(
    "rollback",
    "flextui rollback chat-api",
    "flextui rollback chat-api --to 3 --yes",
    short_help="Bring an earlier revision of a job back.",
)
@_job
@click.option("--to", type=click.IntRange(1), metavar="REV", help="Default: the one before.")
@yes_option
@json_option
def rollback(place: Place, job: str, to: int | None, yes: bool, as_json: bool) -> None:
    """Make an earlier revision the job's next one. It shows the difference and which tasks start
    anew, then asks.
    """

    async def act(client: Client) -> None:
        from flextui.core.model.yamlout import spec_text

        subject = await _subject(client, job)
        wanted = await revision(client, subject.doc, to)
        source = Source(f"revision {wanted['revision']}", spec_text(wanted["spec"]))
        await _apply(client, subject, source, subject.doc["revision"], yes, as_json)

    place.run(act)


async def revision(client: Client, doc: JobDoc, number: int | None) -> dict[str, Any]:
    """One revision of a job; None: the one before the newest. Raises `Failure`."""
    found = (await client.call(Revisions(doc["id"])))["revisions"]
    own = {it["revision"]: it for it in found if it["id"] == doc["id"]}
    wanted = number if number is not None else max(
        (it for it in own if it < doc["revision"]), default=0
    )  # fmt: skip
    if wanted in own:
        return dict(own[wanted])
    kept = ", ".join(str(it) for it in sorted(own))
    full = f"{doc['owner']}/{doc['name']}"
    if number is None:
        raise Failure(output.INPUT, f"{full} has only had this one revision")
    raise Failure(output.INPUT, f"{full} has no revision {number}; there is {kept}")


async def _subject(client: Client, job: str) -> Subject:
    from flextui.core.model.yamlout import spec_text

    doc = cast(JobDoc, await client.call(Show(job)))
    now = doc if doc["type"] == "service" else {"priority": doc["priority"]}
    return Subject(doc, spec_text(doc["spec"], now))


async def _in_editor(client: Client, subject: Subject, yes: bool, as_json: bool) -> None:
    """Editor, look, question; again with the same text while it is refused."""
    scratch = Scratch(_head(subject) + subject.text, subject.doc["name"])
    with _kept(scratch):
        while True:
            text_now = scratch.edit()
            if _without_head(text_now).strip() == subject.text.strip():
                scratch.done()
                output.say("flextui: nothing was changed")
                return
            source = Source(str(scratch.path), text_now)
            try:
                await _apply(client, subject, source, subject.doc["revision"], yes, as_json)
            except CommandError as error:
                subject = await _told(client, subject, error)
                if not _asked("Edit it again?"):
                    raise refused(error) from error
            else:
                scratch.done()
                return


async def _told(client: Client, subject: Subject, error: CommandError) -> Subject:
    """Say why a text was refused; what the job is by now, where somebody else has changed it."""
    for line in [problem_line(it) for it in error.problems] or [f"flextui: {error.text}"]:
        output.say(line)
    fresh = await _subject(client, subject.doc["id"])
    if fresh.doc["revision"] == subject.doc["revision"]:
        return subject
    output.say(f"what revision {fresh.doc['revision']} changed meanwhile:")
    output.say_lines(_painted(unified(subject.text, fresh.text)))
    return fresh


def _head(subject: Subject) -> str:
    state = f"revision {subject.doc['revision']} → {subject.doc['revision'] + 1}"
    if not subject.live:
        state = f"it has ended ({subject.doc['state']}): this is submitted as a new run"
    return f"# {subject.full} ({subject.doc['id']}), {state}. Leave it alone to change nothing.\n"


def _without_head(written: str) -> str:
    first, _, rest = written.partition("\n")
    return rest if first.startswith("# ") else written


@contextlib.contextmanager
def _kept(scratch: Scratch) -> Any:
    """Whatever happens, say where the text is."""
    try:
        yield
    except NoEditor as error:
        raise Failure(output.FAILED, str(error), [f"the text is in {scratch.path}"]) from error
    except BaseException:
        if scratch.path.exists():
            output.say(f"flextui: your text is kept in {scratch.path}")
        raise


async def _apply(
    client: Client, subject: Subject, source: Source, base: int, yes: bool, as_json: bool
) -> None:
    """Show, ask, do. Raises `CommandError` where it is refused, `Failure` where it is declined."""
    key = subject.doc["id"] if subject.live else None
    plan = (await client.call(Plan((source,), key)))["jobs"][0]
    if subject.live and plan["action"] == "unchanged":
        if as_json:
            output.document({"id": key, "revision": plan["revision"], "action": "unchanged"})
        else:
            output.say(f"flextui: {subject.full} says so already; nothing was changed")
        return
    if not yes and output.is_terminal(sys.stdin):
        output.say_lines(_painted(_look(subject, source, plan)))
        if not _asked(_question(subject, plan)):
            raise Failure(output.FAILED, "not confirmed; nothing was changed")
        base = base or subject.doc["revision"]  # what was shown, not what came since
    if not subject.live:
        done = (await client.call(Submit((source,))))["jobs"][0]
    else:
        answer = await client.call(Revise(subject.doc["id"], source, base))
        done = {**answer["job"], "restarts": answer["restarts"], "action": answer["action"]}
    if as_json:
        output.document(done)
        return
    count = len(done.get("restarts") or ())
    effect = f", {text.count(count, 'task')} start{'s' * (count == 1)} anew" if count else ""
    line = f"{done['id']} {done['owner']}/{done['name']} rev {done['revision']}{effect}"
    output.lines([text.clean(line)])


def _look(subject: Subject, source: Source, plan: dict[str, Any]) -> list[Span]:
    spans = unified(subject.text, _without_head(source.text))
    spans += [Span("")] if spans else []
    spans += field_lines(plan.get("diff") or ()) + effect_spans(plan)
    return spans + [Span(f"! {warning}", "warn") for warning in plan.get("warnings") or ()]


def _question(subject: Subject, plan: dict[str, Any]) -> str:
    if not subject.live:
        return f"Submit {subject.full} as a new run?"
    return f"Apply {subject.full} revision {plan['revision']} → {plan['to']}?"


def _painted(spans: Sequence[Span]) -> list[str]:
    colour = output.colour_on(sys.stderr)
    return [
        output.paint(text.clean(it.text), _COLOURS.get(it.role, "")) if colour and it.role
        else text.clean(it.text)
        for it in spans
    ]  # fmt: skip


def _asked(question: str) -> bool:
    sys.stderr.write(f"{text.clean(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def spec_of(client: Client, job: str, number: int | None) -> tuple[str, dict[str, Any]]:
    """A job's spec as YAML and as a document, of its newest or of another revision."""
    from flextui.core.model.yamlout import spec_text

    subject = await _subject(client, job)
    if number is None:
        return subject.text, dict(subject.doc["spec"])
    found = await revision(client, subject.doc, number)
    return spec_text(found["spec"]), dict(found["spec"])
