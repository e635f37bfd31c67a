"""``python -m mmorient``."""

from mmorient.cli import main

main()
