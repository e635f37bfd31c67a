"""The auditor: what stands in the topics proves, offset by offset, what became of every post.

It trusts nothing that a worker says of itself but the offset that the group has committed, and writes nothing.
"""
