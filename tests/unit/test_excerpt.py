"""A module cut to what is used: nothing needed is missing, and little else is there."""

from __future__ import annotations

import ast
import importlib.util
import io
import zipfile
from pathlib import Path

from flextui.agent import ask, device, gpus, holders, slices, topology
from flextui.core.adapters.excerpt import excerpt
from flextui.core.adapters.zipapp import agent_zip

SOURCE = '''# Licence: keep this.
import os
import string
from ctypes import *
from functools import wraps

ERROR_ONE = 1
OTHER = 2
BASE = OTHER + 1

def helper():
    return BASE

@wraps
@wraps
def used(
    first,
):
    """Text
at the margin: (
    """
    return helper()

class Unused(object):
    size = OTHER

def unused():
    return os.getcwd(), used

for name in ():
    print(name)
else:
    print(used)
'''


def test_a_definition_comes_with_what_it_needs_and_nothing_else() -> None:
    part = excerpt(SOURCE, {"used"}, "ERROR_")

    assert part.startswith("# Licence: keep this.\n")
    for kept in ("from ctypes import *", "ERROR_ONE", "OTHER = 2", "BASE", "def helper", "else:"):
        assert kept in part
    for dropped in ("Unused", "unused", "import os", "import string"):
        assert dropped not in part
    assert part.count("@wraps\n") == 2


def test_what_is_wanted_is_there_though_nothing_mentions_it() -> None:
    assert "class Unused" in excerpt(SOURCE, {"Unused"})


def test_what_cannot_be_cut_stays_whole() -> None:
    source = 'TEXT = """\ndef prose():\n"""\nimport os\n'

    assert excerpt(source, {"TEXT"}) == source


def test_the_agents_pynvml_has_every_name_that_the_agent_uses() -> None:
    with zipfile.ZipFile(io.BytesIO(agent_zip().data)) as archive:
        part = archive.read("pynvml.py").decode()
    spec = importlib.util.find_spec("pynvml")
    assert spec is not None
    assert spec.origin is not None
    whole = Path(spec.origin).read_text()
    used = {
        node.attr
        for module in (ask, device, gpus, holders, slices, topology)
        for node in ast.walk(ast.parse(Path(module.__file__).read_text()))
        if isinstance(node, ast.Attribute)
    }

    assert used & defined(whole) == used & defined(part)
    assert len(used & defined(part)) > 30
    assert "Redistribution and use in source and binary forms" in part
    assert len(part) < len(whole) / 5


def defined(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
