"""Who may do what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flextui.core.authorize import admins_only, is_admin, may_act_on
from flextui.core.commands import CommandError
from flextui.core.model.state import Identity
from tests.unit.fake_fleet import inventory
from tests.unit.test_store import a_job

FLEET = inventory(users={"admins": ["alice", "group:ops"]})
CORE = 500


@pytest.mark.parametrize(
    ("who", "admin"),
    [
        (Identity("alice", 1), True),
        (Identity("bob", 2), False),
        (Identity("bob", 2, ("ops",)), True),
        (Identity("bob", 2, ("dev", "alice")), False),
        (Identity("ops", 2), False),
        (Identity("root", 0), True),
        (Identity("anyone", CORE), True),
    ],
)
def test_who_is_an_admin(who: Identity, admin: bool) -> None:
    assert is_admin(FLEET, CORE, who) is admin


def test_users_act_on_their_own_jobs_and_admins_on_all() -> None:
    job = a_job(1)
    may_act_on(job, Identity("ann", 1000), admin=False)
    may_act_on(job, Identity("eve", 2), admin=True)
    with pytest.raises(CommandError) as error:
        may_act_on(job, Identity("eve", 2), admin=False)
    assert error.value.code == "permission"


def test_it_is_the_uid_that_counts_not_the_name() -> None:
    job = replace(a_job(1), owner_uid=1000)
    with pytest.raises(CommandError):
        may_act_on(job, Identity("ann", 1001), admin=False)


def test_nodes_are_for_admins() -> None:
    admins_only("drain nodes", admin=True)
    with pytest.raises(CommandError) as error:
        admins_only("drain nodes", admin=False)
    assert error.value.code == "permission"
