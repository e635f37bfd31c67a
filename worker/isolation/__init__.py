"""Child processes that a suspicious post may kill, and the priority that processes run at.

The stream survives whatever happens in a child.
"""
