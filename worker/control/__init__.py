"""The control topic: policies that are published there are in force in every worker, from its next slice on.

`topic.py` reads and follows it, `published.py` says what a value on it means, `deciding.py` is what the stream has
of it.
"""
