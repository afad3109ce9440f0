"""The command line ``scs``: its subcommands, and the exit status of a failure."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.exceptions import TyperException

from scs.errors import LookError, OptionError, RunError, ScsError, UnknownNameError
from scs.printable import printable
from service.cli.extensions import ExtensibleGroup

FAILURE, USAGE_ERROR = 1, 2


class Commands(ExtensibleGroup):
    """The commands of ``scs``."""

    own = {
        "serve": "service.cli.serve:serve",
        "predict": "service.cli.predict:predict",
        "activations": "service.cli.activations:activations",
        "match": "service.cli.match:match",
        "map": "service.cli.map:app",
        "bank": "service.cli.bank:bank",
        "import": "service.cli.import_:import_",
        "models": "service.cli.models:app",
        "teach": "service.cli.teach:teach",
        "train": "service.cli.train:train",
        "evaluate": "service.cli.evaluate:evaluate",
        "export": "service.cli.export:export",
    }


app = typer.Typer(
    cls=Commands,
    help="Classify pictures by sharpened cosine similarity, and open up the network that does it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"scs-serve {version('scs-serve')}")
        raise typer.Exit


@app.callback()
def _before_subcommands(
    _: Annotated[bool, typer.Option("--version", callback=_show_version, help="Show the version and exit.")] = False,
) -> None:
    pass


def main() -> None:
    """Run the command; print one line on stderr and exit with 2 for a usage error, 1 for a failure."""
    if isinstance(sys.stdout, TextIOWrapper):  # what its encoding lacks is written out, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except TyperException as error:
        _stop(error.format_message(), error.exit_code)
    except (OptionError, UnknownNameError, LookError, RunError) as error:
        _stop(str(error), USAGE_ERROR)
    except ScsError as error:
        _stop(str(error), FAILURE)
    except UnicodeError as error:
        _stop(f"names need to be Unicode where they are sent or written; {error}", USAGE_ERROR)
    except BrokenPipeError:  # whoever read it has had enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for what Python still writes at its end
        sys.exit(FAILURE)
    except OSError as error:
        _stop(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), FAILURE)
    except (KeyboardInterrupt, typer.Abort):
        _stop("interrupted", 130)


def _stop(message: str, status: int) -> None:
    if message:
        print("scs: " + printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
