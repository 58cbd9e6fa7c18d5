"""A text in the user's own editor, and back."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

FALLBACKS = ("sensible-editor", "nano", "vi")


class NoEditor(Exception):
    """There is no editor, or it failed; the text says what to do. `kept`: where the text is."""

    def __init__(self, text: str, kept: Path | None = None) -> None:
        super().__init__(text)
        self.kept = kept


def editor_command(environ: Mapping[str, str]) -> list[str]:
    """The user's editor with its own arguments. Raises `NoEditor`."""
    for name in ("VISUAL", "EDITOR"):
        if said := environ.get(name, "").strip():
            try:
                return shlex.split(said)
            except ValueError as error:
                raise NoEditor(f"{name} is {said!r}: {error}") from error
    for name in FALLBACKS:
        if path := shutil.which(name):
            return [path]
    raise NoEditor("there is no editor here: set EDITOR, for example EDITOR=vim")


class Scratch:
    """A private file that an editor works on. It is taken away by `done`; until then nothing that
    was written is lost."""

    def __init__(self, text: str, name: str = "job") -> None:
        folder = Path(tempfile.mkdtemp(prefix="flextui-edit-"))
        self.path = folder / f"{name}.yaml"
        with self.path.open("x", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)

    def edit(self) -> str:
        """Run the editor in this terminal until it ends; the text then. Raises `NoEditor`."""
        command = [*editor_command(os.environ), str(self.path)]
        try:
            status = subprocess.run(command, check=False).returncode
        except OSError as error:
            what = f"{command[0]} can't be run: {error.strerror}; set EDITOR"
            raise NoEditor(what, self.path) from error
        if status != 0:
            raise NoEditor(f"{command[0]} ended with {status}", self.path)
        return self.read()

    def read(self) -> str:
        """The text as it is now. Raises `NoEditor` where it isn't text."""
        try:
            return self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NoEditor(f"{self.path} can't be read: {error}", self.path) from error

    def done(self) -> None:
        shutil.rmtree(self.path.parent, ignore_errors=True)
