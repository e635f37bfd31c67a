"""From the broker to a slice of items: group membership, lanes and their journal.

Only this folder decides which record is read when.
"""
