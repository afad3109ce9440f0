"""Slides: pictures too large for memory, in levels, worked on tile by tile."""
