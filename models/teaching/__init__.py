"""Teach a classifier a few pictures: a network's features, and one SCS layer whose kernels the pictures are."""
