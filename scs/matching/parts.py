"""The old name of ``scs.matching.deformable.parts``."""

from scs.moved import moved

__getattr__ = moved(__name__, "scs.matching.deformable.parts")
