"""Why a link to a node can't be had: one exception with a code, a phase and a line for people.

The code decides what the engine may conclude. Silence (a dead link, a refused port) may be loss;
a definite complaint of a machine that answers (a wrong key, no Python) never is.
"""

from __future__ import annotations

from flextui.core.model.state import NodeStatus

SILENCE = frozenset({"closed", "timeout", "refused", "dns", "no_route", "jump"})
"""Codes after which nobody knows whether the node still lives."""

NO_ANSWER = frozenset({"timeout", "refused", "no_route"})
"""Codes of a machine that says nothing at all."""

NEEDS_A_PERSON = frozenset(
    {"auth", "host_key", "host_key_changed", "config", "epoch", "version", "alias"}
)
"""Codes that trying again soon doesn't mend; hasty retries would even trip login guards."""

PHASES = ("reach", "host key", "login", "shell", "python", "state")
"""What a connect goes through, in order; names of the preflight's rows."""


class LinkFailure(Exception):
    """The link can't be made or broke. `text` says what is wrong and the mend."""

    def __init__(self, code: str, text: str, phase: str = "reach") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.phase = phase

    @property
    def status(self) -> NodeStatus:
        return NodeStatus.LOST if self.code in SILENCE else NodeStatus.UNREACHABLE
