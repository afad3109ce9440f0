"""The old name of ``scs.nn.pooling``."""

from scs.moved import moved

__getattr__ = moved(__name__, "scs.nn.pooling")
