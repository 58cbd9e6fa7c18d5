"""Accounts for tests with several people."""

from __future__ import annotations

import os
import pwd
import subprocess

from tests.bench import accounts


def test_people_have_homes_that_they_can_write(people: tuple[str, str, str]) -> None:
    for name in people:
        account = pwd.getpwnam(name)
        command = ["sh", "-c", 'id -un && touch "$0/mine" && rm "$0/mine"', account.pw_dir]
        done = subprocess.run(
            [*accounts.as_account(name), *command], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == name
        assert account.pw_uid != os.getuid()


def test_every_account_can_run_a_python_that_has_our_modules(people: tuple[str, str, str]) -> None:
    program, variables = accounts.python_for_everybody()
    done = subprocess.run(
        [*accounts.as_account(people[0]), program, "-c", "import flextui, yaml; print('fine')"],
        env={"PATH": os.defpath, **dict(variables)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "fine\n", done.stderr
