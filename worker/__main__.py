"""`moderate`, and `python -m worker`: the command. Ctrl-C is handled while its modules load, too."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command; one that is interrupted while it still loads says so, too, and ends with 1."""
    try:
        from worker.cli import main as run

        run()
    except KeyboardInterrupt:
        # Loading takes a second, and click is not there yet.
        print("moderate: interrupted before anything was begun", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
