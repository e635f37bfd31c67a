"""A post forgotten, as far as that can be done: cache entries, labels, dead letters, and what is left said."""
