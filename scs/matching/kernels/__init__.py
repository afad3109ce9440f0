"""The old place of ``lab.kernels``."""
