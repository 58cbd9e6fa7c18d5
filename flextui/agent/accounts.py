"""Names of accounts, for whoever has a number only: processes, containers, files, this agent.

It stands alone so that telemetry's forked children can name owners without the rest of the host.
"""

from __future__ import annotations


def user_name(uid: int) -> str:
    """The account's name, or its number where no directory knows it."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
