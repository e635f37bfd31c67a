"""Bytes to the fields of a post, whatever their producer did to them: one reader for the worker and the commands."""
