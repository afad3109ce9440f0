"""Layers of neural networks: sharpened cosine similarity and max-abs pooling, with the loops that train them."""
