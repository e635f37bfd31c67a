"""How cost grows: posts a second and processor time against one thing at a time, on real servers."""
