"""Kernels made of a template, for things that are turned or scaled: harmonic, pyramid and fractal."""
