"""The console scripts ``scs`` and ``scs-serve``, which name the package to install where one is missing."""

import sys

from scs.cores import limit_libraries
from scs.solver import warn_of_solver

USAGE_ERROR = 2


def run_scs() -> None:
    """Run ``scs``; print one line on stderr and exit with 2 where a package that it needs is not installed."""
    warn_of_solver()  # `import scs` has done so, unless the solver's own scs/__init__.py has overwritten ours
    limit_libraries()
    try:
        from service.cli.main import main
    except ModuleNotFoundError as error:
        print(f"scs: {needed_by_command(error)}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    main()


def run_scs_serve() -> None:
    """Run ``scs-serve``, which is ``scs serve``; ``scs-serve --version`` is ``scs --version``."""
    arguments = sys.argv[1:]
    sys.argv = ["scs", *arguments] if arguments == ["--version"] else ["scs", "serve", *arguments]
    run_scs()


def needed_by_command(error: ModuleNotFoundError) -> str:
    """Say which package a command needs, and how it is installed."""
    package = str(error.name).partition(".")[0]
    return (
        f"this command needs {package}, which is not installed: pip install 'scs-serve[cpu]', "
        "or 'scs-serve[gpu]' for an NVIDIA GPU"
    )
