"""A local Apache Kafka and Redis as child processes, from pip packages alone. Knows nothing of the stream."""
