"""The matches of ``scs match`` as a table."""

from __future__ import annotations

from service.api.match import MatchResponse
from service.cli.printing.plain import PlainTable


def print_matches(answer: MatchResponse, rate: int | None) -> None:
    """Print a row for each match; positions in a signal are in samples, and in seconds too if ``rate`` is given."""
    signal = answer.height == 1
    posed = answer.options.angles is not None or answer.options.scales is not None
    pose = ["angle", "scale"] if posed else []
    place = ["position", *(["seconds"] if rate else [])] if signal else ["x", "y"]
    table = PlainTable(title=answer.options.method)
    table.add_column("template", overflow="fold")
    for heading in ("score", *place, *pose, "present", "chance", "psr"):
        table.add_column(heading, no_wrap=True)
    for found in answer.matches:
        start = found.x - found.width / 2
        where = [f"{start:.2f}", *([f"{start / rate:.4f}"] if rate else [])]
        table.add_row(
            found.name,
            f"{found.score:.4g}",
            *(where if signal else [f"{found.x:.1f}", f"{found.y:.1f}"]),
            *([f"{found.angle:.1f}", f"{found.scale:.3f}"] if posed else []),
            "yes" if found.present else "no",
            "" if found.chance is None else f"{found.chance:.0e}",
            "" if found.psr is None else f"{found.psr:.1f}",
        )
    table.show()
