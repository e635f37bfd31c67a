"""The network behind the encoders: HIMA, CMRL, MLC and the bank.

Tensors in, tensors out; it reads no file.
"""
