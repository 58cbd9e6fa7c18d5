"""Where the command `flextui` starts. Kept small: everything heavy is imported where it is used."""

import sys

from flextui.cli.root import run


def main() -> int:
    """Run the command line of this process; the exit status."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
