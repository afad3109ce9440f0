"""Moved to ``lab.named_kernels``; the old names work until version 0.2."""

from scs.moved import moved

__getattr__ = moved(__name__, "lab.named_kernels")
