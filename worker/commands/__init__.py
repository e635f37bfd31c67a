"""The subcommands of `moderate`, one folder each, and what they share.

A command imports another one only where the table of imports in `docs/architecture.md` says so.
"""
