"""A training run: batches, the joint model, its epochs, and the checkpoint that is written in the end.

It measures nothing on posts that it did not train on.
"""
