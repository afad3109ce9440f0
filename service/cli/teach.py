"""The command ``scs teach``."""

from __future__ import annotations

import json as json_format
import re
from pathlib import Path
from typing import Annotated

import typer

from models.cards import catalogue
from models.cards.card import NAME_PATTERN, ModelCard, Pooling
from models.cards.catalogue import Entry, bundled_repository
from models.datasets.class_folders import read_class_folders
from models.datasets.own import open_own
from models.teaching.fit import fit
from models.teaching.network import Network, open_network
from models.teaching.taught import Taught
from models.teaching.write import Source, read_pictures, write_taught
from scs.errors import OptionError, UnknownNameError
from service.cli import options
from service.cli.left_out import LeftOut, write_pictures
from service.cli.local_models import own_repository, settings_for
from service.cli.looked_at import Looked, look
from service.cli.printing.plain import plain_console, say, say_json
from service.cli.printing.teaching import print_taught, taught_figures
from service.settings import Settings

Name = Annotated[str, typer.Argument(help="The model's name.")]
StartFrom = Annotated[
    str | None, typer.Option("--from", help="The network whose features are compared: any that is imported or bundled.")
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Your pictures: a folder of class folders, a .csv with the columns path and label, or an .npz. The class "
        "'none of these' holds other things, if you have some."
    ),
]
Add = Annotated[
    Path | None,
    typer.Option(help="A folder of class folders with more pictures or classes for a model that was taught."),
]
Layer = Annotated[str | None, typer.Option(help="The layer whose features are compared; the last maps unless given.")]
PoolingOption = Annotated[
    Pooling | None,
    typer.Option(
        help="What of a class's map over a picture is its score: the mean, or the maximum, for things that are small "
        "in the pictures that are asked, best of an earlier layer; the mean unless given."
    ),
]
FalseAlarms = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Share of other things that may be given a class, which --add remembers; balanced against misses unless "
        "given.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for pictures: confusion, and the pictures that are hardest.", file_okay=False),
]


def teach(
    name: Name,
    start: StartFrom = None,
    data: Data = None,
    add: Add = None,
    layer: Layer = None,
    pooling: PoolingOption = None,
    false_alarms: FalseAlarms = None,
    skip_broken: options.SkipBroken = False,
    out: Out = None,
    repository: options.OwnRepository = None,
    json: options.Json = False,
) -> None:
    """Teach a classifier a few pictures of each class, in seconds: it names the class, or says "none of these".

    Example: scs teach bolts --from efficientnet-lite0 --data photos    (photos/CLASS/*.jpg)
    Example: scs teach bolts --add more    (more/CLASS/*.jpg)
    """
    settings = settings_for(repository)
    into = own_repository(settings, "teaching")
    if not re.fullmatch(NAME_PATTERN, name):
        raise OptionError(f"a model's name is up to 64 of a-z, 0-9, '.', '_' and '-', no '.' first; '{name[:80]}' came")
    network, source, looked, taught, remembered = (
        _begun(name, start, data, (layer, pooling or "mean"), settings, skip_broken)
        if add is None
        else _continued(name, add, settings, skip_broken, others=(start, data, layer, pooling))
    )
    with plain_console(stderr=True).status(f"teaching {name}: {len(taught.names)} pictures, each left out once"):
        fitted = fit(taught, remembered if false_alarms is None else false_alarms)
        card = write_taught(name, into, network, source, taught, fitted)
    left_out = LeftOut.of(card, taught, fitted)
    if out:
        write_pictures(out, card, left_out, looked, settings)
    if json:
        say_json(json_format.dumps(taught_figures(card, left_out, looked), indent=2))
        return
    print_taught(card, left_out)
    for why, names in (("it is there already", looked.repeated), ("it cannot be read", looked.broken)):
        if names:
            more = f"; and {len(names) - 1} more" if len(names) > 1 else ""
            say(f"left out, since {why}: {names[0]}{more}")
    if out:
        say(f"drawn in {out}: confusion.png, hardest.png")
    say(f"written to {into / name / str(card.version)}; try: scs predict photo.jpg --model {name} --repository {into}")


Begun = tuple[Network, Source, Looked, Taught, float | None]  # the last: false alarms as asked for before


def _begun(
    name: str,
    start: str | None,
    data: Path | None,
    compared: tuple[str | None, Pooling],
    settings: Settings,
    skip_broken: bool,
) -> Begun:
    """Open a network and look at pictures through it."""
    if start is None or data is None:
        raise OptionError("teaching needs a network, --from, and pictures, --data; or more pictures, --add")
    if start == name:
        raise OptionError(f"a taught model needs a name of its own; '{name}' is the network's")
    _refuse_another(settings.model_repository, name)
    found = open_own(data)
    entry = _find(settings.model_repository, start)
    card = entry.card()
    network = open_network(card, entry.verified_bytes(card), *compared)
    looked = look(found, network, settings, skip_broken)
    source = Source(f"{card.name} {card.version}", card.sha256, found.name)
    return network, source, looked, looked.taught, None


def _continued(
    name: str, add: Path, settings: Settings, skip_broken: bool, others: tuple[str | Path | None, ...]
) -> Begun:
    """Open a model that was taught, and look at more pictures through the network within it."""
    if any(each is not None for each in others):
        raise OptionError(
            "--add goes on with a model's own network, layer and pooling; --from, --data, --layer and --pooling begin "
            "a new one"
        )
    entry = catalogue.find(settings.model_repository, name)
    card = entry.card()
    before = read_pictures(entry, card)
    assert card.taught is not None
    more = read_class_folders(add, fewest=1)
    network = open_network(card, entry.verified_bytes(card), card.taught.layer, card.class_pooling)
    looked = look(more, network, settings, skip_broken, before)
    data = card.taught.data if more.name in card.taught.data.split(", ") else f"{card.taught.data}, {more.name}"
    source = Source(card.taught.network, card.taught.network_sha256, data)
    return network, source, looked, before.and_more(looked.taught), card.taught.most_false_alarms


def _find(repository: Path, name: str) -> Entry:
    """Find a network in the user's repository, or else among those bundled."""
    try:
        return catalogue.find(repository, name)
    except UnknownNameError:
        if catalogue.versions(bundled_repository(), name):
            return catalogue.find(bundled_repository(), name)
        raise


def _refuse_another(repository: Path, name: str) -> None:
    """Refuse a name whose model was made otherwise, since a new version would stand in its place."""
    there = catalogue.versions(repository, name)
    card: ModelCard | None = there[-1].card() if there else None
    if card is not None and card.taught is None:
        raise OptionError(f"'{name}' is a model that was not taught ({card.family}); give yours another name")
