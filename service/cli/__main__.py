"""``python -m service.cli`` is ``scs``."""

from service.cli.start import run_scs

run_scs()
