"""What a stream of so many posts a second needs: a model fitted to the figures of growth, and checked on others."""
