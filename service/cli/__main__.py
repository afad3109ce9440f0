"""``python -m service.cli`` is ``scs``."""

from service.cli.main import main

main()
