"""Embeddings in Redis: entries, their look-up and the circuit breaker.

A label never depends on what Redis answers.
"""
