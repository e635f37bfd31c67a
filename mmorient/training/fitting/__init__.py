"""A training run: batches, the joint model, its epochs, and the checkpoint that is written in the end."""
