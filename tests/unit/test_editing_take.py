"""What is taken from a plan into the text: just those fields change."""

from __future__ import annotations

from typing import Any

import pytest

from flextui.core.model.spec import read_specs
from flextui.screens.editing.take import take

SPEC = """\
# a run
name: train       # its name
run: |
  python train.py

resources:
  gpus: 4         # all of a box
  gpu_model: [h100]
  memory: 64GiB

where:
  rack: a
  placement: spread
time_limit: 2h
"""
FLOW = "name: x\nrun: a\nresources: {gpus: 2, cpus: 8, memory: 4GiB}\nwhere: {rack: a}\n"


def change(field: str, value: str | None) -> dict[str, Any]:
    return {"field": field.split("."), "value": value}


@pytest.mark.parametrize(
    ("text", "changes", "before", "after"),
    [
        (SPEC, [change("resources.gpus", "2")], "gpus: 4         #", "gpus: 2         #"),
        (SPEC, [change("resources.memory", "23GiB")], "memory: 64GiB", "memory: 23GiB"),
        (SPEC, [change("resources.gpu_model", None)], "  gpu_model: [h100]\n", ""),
        (SPEC, [change("time_limit", "90m")], "time_limit: 2h", "time_limit: 90m"),
        (SPEC, [change("where", None)], "  rack: a\n", ""),
        (FLOW, [change("where", None)], "where: {rack: a}\n", ""),
        (FLOW, [change("resources.gpus", None), change("resources.gpu_share", "0.5")],
         "{gpus: 2, cpus: 8, ", "{cpus: 8, gpu_share: 0.5, "),
        (FLOW, [change("resources.memory", None)], ", memory: 4GiB}", "}"),
        (FLOW, [change("resources.cpus", "2"), change("resources.memory", "1GiB")],
         "cpus: 8, memory: 4GiB", "cpus: 2, memory: 1GiB"),
        ("name: x\nrun: a\n", [change("resources.cpus", "2")], "run: a\n",
         "resources: {cpus: 2}\nrun: a\n"),
        (SPEC, [change("resources.cpus", "2")], "  memory: 64GiB", "  cpus: 2\n  memory: 64GiB"),
        (SPEC, [change("project", None)], "", ""),
        ("name: y\nrun: b\n---\n" + FLOW, [change("resources.gpus", "1")], "gpus: 2", "gpus: 1"),
    ],
)  # fmt: skip
def test_only_that_changes(
    text: str, changes: list[dict[str, Any]], before: str, after: str
) -> None:
    found = take(text, text.count("---"), changes)
    assert found == (text.replace(before, after) if before else text)
    read_specs(found, "editor")


def test_where_it_cant_be_done_nothing_is() -> None:
    assert take("name: [", 0, [change("nodes", "1")]) is None
    assert take("just words", 0, [change("nodes", "1")]) is None
    assert take(FLOW, 1, [change("nodes", "1")]) is None
