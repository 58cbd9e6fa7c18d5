"""Nothing that people, nodes and time do to a core, in any order, breaks what must hold.

`FLEXTUI_TEST_LIVES` says how many lives, `FLEXTUI_TEST_SEED` the first seed, and
`FLEXTUI_TEST_STEPS` how long each is: a life that fails is lived again with its seed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.property.lives import Life

LIVES = int(os.environ.get("FLEXTUI_TEST_LIVES", "8"))
FIRST = int(os.environ.get("FLEXTUI_TEST_SEED", "2"))
STEPS = int(os.environ.get("FLEXTUI_TEST_STEPS", "70"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + LIVES))
def test_a_life(seed: int, tmp_path: Path) -> None:
    life = Life(seed, tmp_path / "state")
    try:
        life.live(STEPS)
        life.finish()
    except Exception as error:
        error.add_note("\n".join(life.log[-12:]))
        raise
    finally:
        life.end()
        shutil.rmtree(tmp_path)
