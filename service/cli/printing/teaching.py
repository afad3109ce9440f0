"""What ``scs teach`` prints: of what a model was made, and what came of pictures that were left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.cards.card import CountedCard, ModelCard, TaughtCard
from service.cli.printing.accuracy import print_confusion
from service.cli.printing.plain import say

if TYPE_CHECKING:
    from service.cli.left_out import LeftOut
    from service.cli.looked_at import Looked

_MOST_ROWS = 20  # of a confusion that is printed


def taught_figures(card: ModelCard, left_out: LeftOut, looked: Looked) -> dict[str, object]:
    """Return all figures by name, for JSON."""
    assert card.taught is not None
    found = left_out.evaluation
    return {
        "model": card.name,
        "version": card.version,
        "labels": card.labels,
        **card.taught.model_dump(),
        "confusion": found.confusion.tolist() if found else None,
        "repeated": looked.repeated,
        "broken": looked.broken,
        "hardest": [vars(each) for each in left_out.pictures],
    }


def print_taught(card: ModelCard, left_out: LeftOut) -> None:
    """Print what was taught, the confusion, and how often pictures are given no class, or a false one."""
    taught = card.taught
    assert taught is not None
    others = f", {taught.other_things} of other things" if taught.other_things else ""
    say(
        f"{card.name} {card.version}: {len(taught.pictures)} classes, {sum(taught.pictures)} pictures{others}; "
        f"{taught.kernels} kernels on {taught.layer} of {taught.network}, p = {taught.p:g}, q = {taught.q:g}"
    )
    if taught.right is None or left_out.evaluation is None:
        say("not measured: every class has one picture, so none can be left out")
    else:
        say(f"each picture left out once: {_share(taught.right)} right")
    say(_of_other_things(taught))
    if left_out.evaluation is not None and len(card.labels) <= _MOST_ROWS:
        print_confusion(left_out.evaluation)
    wrong = [each for each in left_out.pictures if each.said != each.label]
    for each in wrong[:3]:
        say(f"hardest: {each.name} is {each.label}, {each.of_label:.0%}, and called {each.said}, {each.of_said:.0%}")


def _of_other_things(taught: TaughtCard) -> str:
    if taught.threshold is None:
        return "never 'none of these': that takes three classes, two pictures of a class, or pictures of other things"
    missed = f"; {_share(taught.misses)} are missed" if taught.misses else ""
    if taught.false_alarms is None:
        return f"'none of these': how often other things are given a class is not known of two classes{missed}"
    return f"'none of these': of other things {_share(taught.false_alarms)} are given a class{missed}"


def _share(counted: CountedCard) -> str:
    share = counted.count / counted.of
    return f"{counted.count:,} of {counted.of:,} ({share:.1%}; 95% interval {counted.low:.1%} to {counted.high:.1%})"
