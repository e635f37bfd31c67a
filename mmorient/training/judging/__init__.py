"""A checkpoint held against the truth: calibration, measures, fairness and reports.

It changes no weight.
"""
