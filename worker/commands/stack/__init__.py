"""A local Apache Kafka and Redis as child processes, from pip packages alone.

It knows nothing of the stream.
"""
