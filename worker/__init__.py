"""The stream: posts in from Kafka, labels out to Kafka, exactly once."""
