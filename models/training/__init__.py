"""Train a network by its recipe."""
