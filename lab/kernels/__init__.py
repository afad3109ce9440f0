"""Kernels made of a template, for things that are rotated or scaled: harmonic, pyramid and fractal."""
