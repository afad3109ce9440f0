"""A bank of templates as a model."""
