"""Heatmaps of a network's layers, class maps, and where a template's features occur."""
