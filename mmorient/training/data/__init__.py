"""Posts with labels: sets read from disk, duplicates left out, tokens and picture regions prepared. It trains nothing."""
