"""Repair: what stands on the dead-letter topic, and how it goes through the worker again."""
