"""A checkpoint held against the truth: calibration, measures, fairness, reports. It changes no weight."""
