"""What the worker says of itself: metrics, traces, logs, health and drift.

It reads what the stages made and changes nothing of it.
"""
