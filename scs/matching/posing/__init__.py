"""Matching of rotated and scaled templates: poses, and the search for them, coarse to fine."""
