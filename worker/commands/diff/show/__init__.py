"""A report for a terminal, as a page, or as JSON.

It computes nothing.
"""
