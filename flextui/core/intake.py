"""Job specs on their way in: read, and told at their place in the file when they are refused.

Reading doesn't hold the loop: a long file is read in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from flextui.core.commands import CommandError, Source
from flextui.core.model.problems import BadInput, Problem
from flextui.core.model.spec import Written, read_written
from flextui.core.reduce.admission import SpecRefused

PARSE_IN_THREAD = 4096
"""Characters of spec above which parsing would hold the loop too long."""
MAX_SOURCE = 4 * 2**20


async def parse(sources: tuple[Source, ...]) -> tuple[Written, ...]:
    """The jobs of all files; every problem of every file at once. Raises `BadInput`."""
    size = sum(len(source.text) for source in sources)
    if size > MAX_SOURCE:
        raise CommandError("input", f"{size} characters of job specs: expected {MAX_SOURCE}")
    if size > PARSE_IN_THREAD:
        return await asyncio.to_thread(_parse, sources)
    return _parse(sources)


def _parse(sources: tuple[Source, ...]) -> tuple[Written, ...]:
    found: list[Written] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            found += read_written(source.text, source.name)
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    if not found:
        raise CommandError("input", "there is no job to submit")
    return tuple(found)


@contextlib.contextmanager
def placing(written: Sequence[Written]) -> Iterator[None]:
    """What one of these jobs is refused for inside is told with its line and column."""
    try:
        yield
    except SpecRefused as refused:
        if not written:
            raise
        raise placed(written, [refused]) from refused


def placed(written: Sequence[Written], refusals: Sequence[SpecRefused]) -> CommandError:
    """What these jobs are refused for, each at its place."""
    problems = []
    for it in refusals:
        document = written[it.at].document
        place = document.find(it.path).node.place
        problems.append(document.problem(place, it.message, it.expected, it.nearest))
    told = tuple(dataclasses.asdict(problem) for problem in problems)
    alike = {it.code for it in refusals}
    code = refusals[0].code if len(alike) == 1 else "input"
    return CommandError(code, "\n".join(map(str, problems)), problems=told)
