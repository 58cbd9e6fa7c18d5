"""Back and forward, as in a browser."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flextui.screens.trail import TOP, Path, Trail, common

JOBS: Path = (*TOP, ("jobs",))
JOB: Path = (*JOBS, ("job", "j1"))


def test_back_forward_and_a_new_way() -> None:
    trail = Trail()
    trail.visit(JOBS)
    trail.visit(JOB)
    assert trail.walk(-1) == JOBS
    assert trail.walk(-1) == TOP
    assert trail.walk(-1) is None
    assert trail.walk(1) == JOBS
    trail.visit((*TOP, ("events",)))
    assert trail.walk(1) is None
    assert trail.walk(-1) == JOBS


paths = st.sampled_from([TOP, JOBS, JOB, (*TOP, ("node", "gpu1"))])


@given(st.lists(paths | st.sampled_from([-1, 1]), max_size=300))
def test_where_one_is_is_always_the_last_that_was_visited_or_walked_to(
    steps: list[Path | int],
) -> None:
    trail, here = Trail(), TOP
    for step in steps:
        if isinstance(step, int):
            here = trail.walk(step) or here
        else:
            trail.visit(step)
            here = step
        assert trail.here == here


def test_what_two_paths_share() -> None:
    assert common(JOBS, JOB) == 2
    assert common(JOB, (*TOP, ("events",))) == 1
    assert common((), JOB) == 0
