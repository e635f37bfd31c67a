"""A second checkpoint that labels a share of the live posts in a child process.

The stream never waits for it.
"""
