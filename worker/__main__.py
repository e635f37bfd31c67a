"""`python -m worker` is the `moderate` command."""

from worker.cli import main

main()
