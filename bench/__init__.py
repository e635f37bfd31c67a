"""Measurements, each a ratio within one run. README.md holds the last tables."""
