"""Repair: what stands on the dead-letter topic, and how it goes through the worker again.

It knows the topics and no model. Only `claim` writes.
"""
