"""How the sample pictures are drawn: a canvas, scenes on it, and lettering over them."""
