"""The research loop: reading the sets, tuning, training, calibrating, measuring."""
