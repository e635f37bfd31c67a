"""A checkpoint on the disk: loaded, saved and inspected.

Only this folder knows the files of a checkpoint.
"""
