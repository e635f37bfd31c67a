"""Pictures of strangers are decoded in child processes that may compute, and nothing else.

``decoders``     the children as the worker sees them: a picture in, pixels or a reason out
``child``        what runs in one of them
``confinement``  how a child gives its rights up, and what a system lets it give up
``call_filter``  the list of system calls that are left to it
``message``      what goes over the pipe and where pixels lie in the memory that both see
"""
