"""Every YAML example of the documentation is read, so that none can grow wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from flextui.core.model.fields import Frozen
from flextui.core.model.inventory import (
    Policy,
    Project,
    Quota,
    Reservation,
    Volume,
    Weights,
    read_inventory,
)
from flextui.core.model.spec import Idle, JobSpec, Resources, read_specs
from flextui.screens.config import parse
from flextui.screens.places import known

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```ya?ml *(.*)\n((?:.*\n)*?)\1```", re.MULTILINE)


def read_config(text: str, source: str) -> None:
    """The terminal's own config. Raises `AssertionError` with what is wrong with it."""
    _, problems = parse(text, source, known())
    assert not problems


READERS = {"job": read_specs, "inventory": read_inventory, "config": read_config}


def pages() -> list[Path]:
    return [
        path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if path.exists()
    ]


def examples() -> Iterator[tuple[str, str, str]]:
    """(place, marker, text) of each fenced YAML block."""
    for page in pages():
        text = page.read_text("utf-8")
        for block in FENCE.finditer(text):
            line = text.count("\n", 0, block.start()) + 1
            yield f"{page.relative_to(ROOT)}:{line}", block[2].strip(), block[3]


@pytest.mark.parametrize(("place", "marker", "text"), list(examples()))
def test_examples_are_valid(place: str, marker: str, text: str) -> None:
    assert marker in READERS, f"{place}: say ```yaml job, ```yaml inventory or ```yaml config"
    READERS[marker](text, place)


def test_every_field_of_a_spec_is_told() -> None:
    page = (ROOT / "docs" / "spec.md").read_text("utf-8")
    for name in (*JobSpec.model_fields, *Resources.model_fields, *Idle.model_fields):
        assert f"`{name.rstrip('_')}`" in page, name


@pytest.mark.parametrize("model", [Policy, Weights, Quota, Project, Reservation, Volume])
def test_every_field_of_sharing_is_told(model: type[Frozen]) -> None:
    told = "".join(
        (ROOT / "docs" / name).read_text("utf-8") for name in ("sharing.md", "inventory.md")
    )
    for name in model.model_fields:
        plain = name.rstrip("_")
        assert re.search(rf"`(policy\.|weights\.)?{plain}\b|\b{plain}:", told), name


def test_the_guides_have_examples() -> None:
    places = {place.rsplit(":", 1)[0] for place, _, _ in examples()}
    assert {"docs/spec.md", "docs/inventory.md", "docs/sharing.md"} <= places
