"""Manners of all commands: exit code, number of lines and words of each fault, in one table."""
