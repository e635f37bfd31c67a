"""Records as producers, phones and writers really make them, and what becomes of each."""
