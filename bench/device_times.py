"""How long a device takes, where one is only waited for: seconds of a call, a text's token, a picture, a post."""

# MiniLM-L6 does 21 million operations a token and the H200 some 30 * 10^12 a second in fp32; EfficientNet-Lite0 takes
# 0.8 * 10^9 a picture; the heads 6 * 10^6 a post. A call is launched in 0.3 ms. None of these was measured on one.
H200 = {"call": 300e-6, "token": 0.7e-6, "picture": 60e-6, "post": 0.5e-6}
