"""Policies: thresholds per community, read from TOML, which make labels into decisions.

`rule.py` says what a rule is, `reading.py` reads a folder of them, `policies.py` decides, `canonical.py` has their
version and their bytes, and `current.py` holds what is in force.
"""
