"""From labels to outgoing records, and what is counted once they are committed.

It sends nothing itself.
"""
