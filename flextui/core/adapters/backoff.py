"""How long to wait before a link is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from flextui.core.adapters.failure import NEEDS_A_PERSON, NO_ANSWER


@dataclass(frozen=True, slots=True)
class Pace:
    """The session's times, in seconds."""

    first_s: float = 0.25
    """Wait before the first retry; it doubles from there."""
    most_s: float = 30.0
    silence_most_s: float = 2.0
    """The same for a machine that doesn't answer: asking bothers nobody, and what must end there
    ends within 5 s of its return."""
    person_first_s: float = 15.0
    """The same for what a person must mend: hasty retries would trip login guards."""
    person_most_s: float = 300.0
    stable_s: float = 1.0
    """A link that served this long, and longer than the wait before it, was good: the waits begin
    anew. One that breaks right after each hello waits longer and longer."""
    ping_s: float = 5.0
    """Silence after which the agent is asked whether it lives."""
    word_s: float = 15.0
    """An agent that talks gets a word this often: one that hears nothing for 60 s ends."""
    silent_s: float = 12.0
    """Silence after which the link is dead; seen within `tick_s` more."""
    tick_s: float = 2.5
    answer_s: float = 90.0
    """A request may wait this long for its answer before the link is made anew."""
    again_s: float = 5.0
    """An abandoning that the agent couldn't do is asked for again after this."""
    observe_s: float = 60.0
    """How often an observer asks anew whether the node has become free."""


class Backoff:
    """Exponential with jitter: two thousand links that broke at once don't return at once."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._tries = 0
        self._last_s = 0.0

    def served(self, seconds: float) -> None:
        """A link was up for so long."""
        if seconds >= max(self._pace.stable_s, self._last_s):
            self.reset()

    def reset(self) -> None:
        self._tries = 0

    def delay(self, code: str) -> float:
        """Seconds to wait after one more failure with this code."""
        if code in NEEDS_A_PERSON:
            first, most = self._pace.person_first_s, self._pace.person_most_s
        else:
            first, most = self._pace.first_s, self._pace.most_s
            if code in NO_ANSWER:
                most = min(most, self._pace.silence_most_s)
        ceiling = min(most, first * 2.0 ** min(self._tries, 30))
        self._tries += 1
        self._last_s = ceiling * random.uniform(0.5, 1.0)
        return self._last_s
