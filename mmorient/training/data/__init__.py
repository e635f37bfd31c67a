"""Posts with labels: sets are read, duplicates left out, tokens and picture regions prepared.

It trains nothing.
"""
