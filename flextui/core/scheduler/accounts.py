"""What users have of GPUs: held now, used lately with decay, and by the hour.

An account changes only when an attempt begins or ceases to hold devices. Between two such
instants the rate is constant, so both the decayed sum and the hours are exact whenever they are
brought up to date, however seldom that is. The decay is exponential: what was used one half-life
ago counts half: with c = ln2 / half-life, dU/dt = rate - c*U gives
U(t) = U0*e^(-ct) + rate*(1 - e^(-ct))/c.
"""

from __future__ import annotations

from math import expm1, log

from flextui.core.model.records import changed
from flextui.core.model.state import Account, Attempt
from flextui.core.model.usage import HOUR, WHOLE, split


def held_milli(attempt: Attempt) -> int:
    """Thousandths of GPUs that an attempt holds: a MIG slice is a device of its own."""
    if not attempt.state.live or attempt.replaced or not attempt.gpus:
        return 0
    return attempt.share or WHOLE * len(attempt.gpus)


def used_at(account: Account, now: float, half_life: float) -> float:
    """GPU-seconds used up to `now`, decayed."""
    return decayed(account.used, account.gpus / WHOLE, now - account.at, half_life)


def decayed(used: float, rate: float, seconds: float, half_life: float) -> float:
    """What `used` becomes after so many seconds in which `rate` GPUs were used."""
    if seconds <= 0:
        return used
    c = log(2) / half_life
    gone = -expm1(-c * seconds)
    return used * (1 - gone) + rate * gone / c


def charged(
    account: Account, milli: int, now: float, half_life: float, window: float, ended: float | None
) -> Account:
    """The account brought up to `now`, from when on it holds so many thousandths more (or fewer).

    `window`: seconds that `hours` are kept for; 0: none are. `ended`: what is given back (milli is
    negative) wasn't used since that instant already, so it isn't charged for the time after it.

    A clock that was set back takes nothing of `used` away, and what is held counts on from now: who
    waited for a clock that had been far ahead would charge nothing for as long.
    """
    used = used_at(account, now, half_life)
    hours: dict[int, float] = {}
    if window > 0:
        first = int((now - window) // HOUR)
        hours = {hour: seconds for hour, seconds in account.hours.items() if hour >= first}
        _add(hours, account.at, now, account.gpus / WHOLE, first)
    if ended is not None and milli < 0 and ended < now:
        used = max(0.0, used + decayed(0.0, milli / WHOLE, now - ended, half_life))
        if window > 0:
            _add(hours, ended, now, milli / WHOLE, first)
    return changed(account, used=used, at=now, gpus=max(0, account.gpus + milli), hours=hours)


def _add(hours: dict[int, float], start: float, end: float, rate: float, first: int) -> None:
    if rate:
        for hour, seconds in split(start, end):
            if hour >= first:
                hours[hour] = max(0.0, hours.get(hour, 0.0) + rate * seconds)
