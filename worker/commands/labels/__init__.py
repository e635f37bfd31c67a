"""Labels by id: what the topics say of one post.

It reads topics and writes nothing to them.
"""
