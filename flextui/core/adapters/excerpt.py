"""The part of a Python module that a program uses, with whatever that part needs in turn.

nvidia-ml-py describes all of NVML in 330 KB; the agent asks some thirty questions. The whole would
triple what travels to a node, cost its NVML process 5 MB, and a tenth of a second of compiling on
each node at the first start.
"""

import re
from collections.abc import Iterable

_TOP_LEVEL = re.compile(r"(?m)^(?=[A-Za-z_@])")
_WORD = re.compile(r"\w+")
_DEFINITION = re.compile(
    r"""(?mx)^(?:
    (?:def|class)\s+(?P<code>\w+)
    | (?P<value>\w+)\s*=[^=]
    | (?:from\s+[\w.]+\s+)?import\s+(?P<module>\w+)\s*$
    )"""
)


def excerpt(source: str, wanted: Iterable[str], always: str = "") -> str:
    """The statements that define the wanted names, those they mention, and all that define none.

    Definitions are the functions, classes, assignments and single imports at the margin; those
    whose name begins with `always` are kept (names that are looked up at run time). What precedes
    the first statement, such as a licence, stays. A word in a comment counts as a mention: rather
    too much than too little. The whole source comes back if the excerpt would be no Python.
    """
    statements = _statements(source)
    definitions: dict[str, list[int]] = {}
    kept: set[int] = set()
    for number, statement in enumerate(statements):
        name = _defined(statement)
        if name is None or (always and name.startswith(always)):
            kept.add(number)
        else:
            definitions.setdefault(name, []).append(number)
    todo = set(wanted).union(*(_WORD.findall(statements[number]) for number in kept if number))
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        seen.add(name)
        for number in definitions.get(name, ()):
            kept.add(number)
            todo.update(word for word in _WORD.findall(statements[number]) if word not in seen)
    part = "".join(statements[number] for number in sorted(kept))
    try:
        compile(part, "excerpt", "exec")
    except SyntaxError:
        return source
    return part


def _statements(source: str) -> list[str]:
    """The text before the first statement, then each statement with its decorators."""
    found: list[str] = []
    decorators = ""
    for piece in _TOP_LEVEL.split(source):
        if piece.startswith("@"):
            decorators += piece
        else:
            found.append(decorators + piece)
            decorators = ""
    return found


def _defined(statement: str) -> str | None:
    match = _DEFINITION.search(statement)
    return match and (match["code"] or match["value"] or match["module"])
