"""The old name of ``scs.nn.layers``."""

from scs.moved import moved

__getattr__ = moved(__name__, "scs.nn.layers")
