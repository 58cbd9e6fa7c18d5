"""What every way of holding a core has in common: how it is asked for, and how it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flextui.cli.connect import inventory_in_use
from flextui.cli.output import FAILED, INPUT, Failure
from flextui.cli.verb import Options, so_many
from flextui.core.adapters import paths
from flextui.core.model.problems import BadInput
from flextui.core.ports import StoreError
from flextui.core.server import SocketError
from flextui.core.start import CoreOptions, StartError


def core_options(options: Options, *, headless: bool) -> CoreOptions:
    """What the command line asks of a core. Raises Failure."""
    return CoreOptions(
        state_dir=paths.state_folder(options.state_dir),
        inventory=inventory_in_use(options),
        headless=headless,
        socket=Path(options.socket).absolute() if options.socket else None,
        socket_group=options.socket_group,
    )


@contextmanager
def plain_failures() -> Iterator[None]:
    """Whatever speaks against a core here becomes a Failure."""
    try:
        yield
    except BadInput as error:
        lines = map(str, error.problems)
        raise Failure(INPUT, f"the inventory has {so_many(len(error.problems))}", lines) from error
    except (StartError, paths.PathError) as error:
        raise Failure(INPUT, str(error)) from error
    except (paths.Locked, StoreError, SocketError) as error:
        raise Failure(FAILED, str(error)) from error
