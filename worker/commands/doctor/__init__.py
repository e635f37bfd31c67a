"""`moderate doctor`: would this worker run here, and if not, what has to be changed?

It looks and leaves nothing behind: no record, no offset, no member of the group, no topic.
"""
