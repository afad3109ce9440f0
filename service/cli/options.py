"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from scs.errors import OptionError

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Url = Annotated[str | None, typer.Option(help="Send to this server instead of running the model here.")]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="SCS_API_KEY", show_envvar=False, help="Key of that server; SCS_API_KEY unless given."),
]
Model = Annotated[str | None, typer.Option(help="Name of a model; the default one unless given.")]
Version = Annotated[
    str | None, typer.Option(help="Version of the model, a number or a label; the default one unless given.")
]
Data = Annotated[
    Path | None, typer.Option(help="Folder with the data set's .npz file; SCS_DATA unless given.", file_okay=False)
]
OwnData = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the data set's .npz file, SCS_DATA unless given; or your own pictures: a folder of class "
        "folders, a .csv with the columns path and label, or an .npz."
    ),
]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave out files that cannot be read as pictures.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set from its publisher if it is missing.")]
Repository = Annotated[
    Path | None, typer.Option(help="Folder of models; SCS_MODEL_REPOSITORY or the bundled one unless given.")
]
OwnRepository = Annotated[
    Path | None, typer.Option(help="Folder of models to write to; SCS_MODEL_REPOSITORY unless given.")
]

MOST_SEED = 2**32 - 1  # what every generator of random numbers takes

Options = TypeVar("Options", bound=BaseModel)


def checked(kind: type[Options], **values: Any) -> Options:
    """Validate a command's options by the pydantic schema of its route.

    Raises:
        OptionError: the first value that breaks them.
    """
    try:
        return kind.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise OptionError(f"{first['loc'][0]}: {first['msg'].lower()}; '{first['input']}' came") from None


def check_apart(written: Path | None, option: str, read: Iterable[Path | None]) -> None:
    """Check that a file to write is none of those that are read.

    Args:
        written: the file, or None.
        option: that names it, "--out", say, for the message.
        read: the files that are read; None is none.

    Raises:
        OptionError: it is one of them, by this or by another name.
    """
    if written is None or not written.exists():
        return
    for path in read:
        if path is not None and path.exists() and path.samefile(written):
            raise OptionError(f"{option} is another file than those that are read; '{written.name}' came for both")


def suffix_of(path: Path | None, option: str, needed: str, allowed: Collection[str]) -> str:
    """Return the suffix of a file to write, in lower case; empty where none is asked for.

    Args:
        path: of the file.
        option: that names it, "--out", say, for the message.
        needed: "a .png file", say, for the message.
        allowed: endings.

    Raises:
        OptionError: another ending.
    """
    if path is None:
        return ""
    suffix = path.suffix.lower()
    if suffix not in allowed:
        raise OptionError(f"{option} is {needed}; '{path.name}' came")
    return suffix
