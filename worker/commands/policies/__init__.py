"""`moderate policies`: what rules would decide, and which ones all workers go by.

`cli.py` has the commands, `checking.py` decides over a file of labels, `topic.py` publishes and shows.
"""
