"""`moderate demo`: the sample posts through a real Kafka, a real Redis and a real worker, and the count afterwards.

It starts the worker as a process and looks at topics and pages, as a user would.
"""
