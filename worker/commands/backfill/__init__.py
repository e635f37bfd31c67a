"""`moderate backfill`: a range of the posts topic, labelled again beside the live stream.

request ─▶ starting ─▶ (the stream, bounded) ─▶ following
what is    frozen in   worker/service.py         the group's offsets
asked      the group                            against the plan
"""
