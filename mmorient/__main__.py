"""``mmorient``, and ``python -m mmorient``: the command. Ctrl-C is handled while its modules load, too."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command; one that is interrupted while it still loads says so, too, and ends with 1."""
    try:
        from mmorient.cli import main as run

        run()
    except KeyboardInterrupt:
        # Loading takes a second, and click is not there yet.
        print("mmorient: interrupted before anything was begun", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
