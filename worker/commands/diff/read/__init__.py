"""Labels and posts out of topics and files, into the store that they are compared in.

It judges nothing.
"""
