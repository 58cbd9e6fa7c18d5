"""Who may do what, from the identity that the kernel gave.

Everybody sees everything. Users act on their own jobs; admins of the inventory, root and the
account of the core itself act on everybody's, and alone on nodes and on the core.
"""

from __future__ import annotations

from flextui.core.commands import CommandError
from flextui.core.model.inventory import Inventory
from flextui.core.model.state import Identity, Job

_GROUP = "group:"


def is_admin(inventory: Inventory, core_uid: int, who: Identity) -> bool:
    """Whether this caller may act on everything."""
    if who.uid in (core_uid, 0):
        return True
    for admin in inventory.users.admins:
        if admin == who.user:
            return True
        if admin.startswith(_GROUP) and admin[len(_GROUP) :] in who.groups:
            return True
    return False


def may_act_on(job: Job, who: Identity, admin: bool) -> None:
    """Raises `CommandError` (permission) unless the job is the caller's own or they are admin."""
    if not admin and job.owner_uid != who.uid:
        raise CommandError(
            "permission", f"{job.full_name} is {job.owner}'s: only {job.owner} or an admin may"
        )


def admins_only(what: str, admin: bool) -> None:
    """Raises `CommandError` (permission) for anybody else."""
    if not admin:
        raise CommandError("permission", f"only admins may {what} (users.admins in the inventory)")
