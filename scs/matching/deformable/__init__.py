"""Matching of things that bend: small parts of a template, in pixels or in a network's features, that may stray."""
