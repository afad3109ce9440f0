"""Model cards, and the folders of models on disk that they lie in."""
