"""Where the command `flextui` starts. Kept small: everything heavy is imported where it is used."""

import gc
import sys

YOUNG = 50_000
"""Objects made before Python's collector looks at them. What is imported comes to stay: with its
own 700, the collector takes an eighth of the time to the first paint. Terminal and core have others
once they are open."""


def main() -> int:
    """Run the command line of this process; the exit status."""
    gc.set_threshold(YOUNG, 20, 100)
    from flextui.cli.root import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
