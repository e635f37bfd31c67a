"""Two sets of labels become pairs, counts, scores and a verdict.

It reads the store and prints nothing.
"""
