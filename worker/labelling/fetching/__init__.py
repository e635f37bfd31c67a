"""How the worker reaches hosts that strangers name: addresses are judged before the first packet goes out."""
