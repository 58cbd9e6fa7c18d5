"""How old what the agent hears may be: what a lease's start is judged by."""

from __future__ import annotations

import pytest

from flextui.agent.channel import Silence


def test_what_comes_after_a_silence_may_be_as_old_as_that() -> None:
    silence = Silence(100.0)
    silence.heard(130.0)
    assert silence.age(130.0) == 30.0


def test_what_a_silence_held_up_may_come_in_pieces() -> None:
    """The first piece must not make the next one look fresh: both were sent in the silence."""
    silence = Silence(100.0)
    for moment in (130.0, 130.1, 131.5):
        silence.heard(moment)
    assert silence.age(131.5) == 31.5


def test_a_talk_that_goes_on_is_fresh() -> None:
    silence = Silence(100.0)
    for moment in (130.0, 131.0, 132.5, 133.0):
        silence.heard(moment)
    assert silence.age(133.0) == pytest.approx(0.5)


def test_our_own_hello_makes_all_that_follows_fresh() -> None:
    """A start carries the boot that hello told: it can't have been sent before."""
    silence = Silence(100.0)
    silence.heard(130.0)
    silence.restart(130.1)
    silence.heard(130.2)
    assert silence.age(130.2) == pytest.approx(0.1)
