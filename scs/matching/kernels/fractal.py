"""The old name of ``lab.kernels.fractal``."""

from scs.moved import moved

__getattr__ = moved(__name__, "lab.kernels.fractal")
