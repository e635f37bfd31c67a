"""Kafka: how clients are made, and what topics, groups, positions and transactions are.

Nothing here knows a post or a model.
"""
