"""The matches of ``scs match`` as a table."""

from __future__ import annotations

from service.api.match import MatchResponse
from service.cli.printing.plain import PlainTable, say


def print_matches(answer: MatchResponse, rate: int | None) -> None:
    """Print a row for each match; positions in a signal are in samples, and in seconds too if ``rate`` is given."""
    signal = answer.height == 1
    posed = answer.options.angles is not None or answer.options.scales is not None
    pose = ["angle", "scale"] if posed else []
    place = ["position", *(["seconds"] if rate else [])] if signal else ["x", "y"]
    table = PlainTable(title=answer.options.method)
    table.add_column("template", overflow="fold")
    cut = answer.options.border == "partial"
    for heading in (
        "score",
        *place,
        *pose,
        *(["visible"] if cut else []),
        "present",
        "evidence",
        *([] if posed else ["explained"]),
    ):
        table.add_column(heading, no_wrap=True)
    for found in answer.matches:
        start = found.x - found.width / 2
        where = [f"{start:.2f}", *([f"{start / rate:.4f}"] if rate else [])]
        table.add_row(
            found.name,
            f"{found.score:.4g}",
            *(where if signal else [f"{found.x:.1f}", f"{found.y:.1f}"]),
            *([f"{found.angle:.1f}", f"{found.scale:.3f}"] if posed else []),
            *([f"{100 * found.visible:.0f} %"] if cut else []),
            "yes" if found.present else "no",
            f"{found.evidence:+.1f}",
            *([] if posed else ["" if found.explained is None else f"{100 * found.explained:.0f} %"]),
        )
    table.show()
    for template in answer.templates:
        if template.outlined:
            say(f"'{template.name}' is of one colour behind its mask: it was looked for by its outline")
