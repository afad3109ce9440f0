"""The old name of ``scs.nn.similarity``."""

from scs.moved import moved

__getattr__ = moved(__name__, "scs.nn.similarity")
