"""What people said of labels, beside the posts that they said it of: a file that training and calibration read.

It reads topics and writes nothing to them.
"""
