"""Where the command `flextui` starts. Kept small: everything heavy is imported where it is used."""

import gc
import sys

YOUNG = 500_000
"""Objects made before Python's collector looks at them, more than all imports make: they come to
stay, and to walk them takes a fourteenth of the time to the first paint. Terminal and core have
bounds of their own once they are open."""


def main() -> int:
    """Run the command line of this process; the exit status."""
    gc.set_threshold(YOUNG, 10, 10)
    from flextui.cli.root import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
