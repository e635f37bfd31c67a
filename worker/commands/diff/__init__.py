"""`moderate diff`: may a new checkpoint replace the old one? Two sets of labels, joined by post.

`read` fills the store, `compare` makes a report of it, `show` prints the report. `session` is one comparison from its
beginning to its end; `following` repeats it as topics grow.
"""
