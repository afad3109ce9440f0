"""The entry point of ``python -m service.cli``, which is the same as ``scs``."""

from service.cli.start import run_scs

run_scs()
