"""Kafka: how clients are made, and what topics, groups, positions and transactions are. It knows no post and no model."""
