"""The research loop: `data` reads sets, `fitting` trains on them, `judging` measures what came of it.

`run` is one training from its beginning to its end. Nothing outside this folder imports it but the command.
"""
