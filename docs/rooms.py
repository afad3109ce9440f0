"""Draw the graph of imports between packages (rooms) into ``docs/pictures/rooms.png``: ``python docs/rooms.py``.

A room is a package directly below ``scs``, ``models``, ``service`` or ``lab``. A room stands above all that it imports.
Only the arrows that are needed are drawn: where A imports B and B imports C, an arrow from A to C is left out.
"""

from io import BytesIO
from pathlib import Path

import grimp
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch
from PIL import Image

DOCS = Path(__file__).parent
PACKAGES = ("service", "lab", "models", "scs")
COLOURS = {"service": "#2f6ea5", "lab": "#a0438f", "models": "#b8690f", "scs": "#3b8a39"}
PALE = {"service": "#dceaf7", "lab": "#f6e3f2", "models": "#fcecd3", "scs": "#dff0de"}
COLUMN, HALF_A_BOX = 2.3, 0.17  # in units of which floors are one apart
Graph = dict[str, set[str]]


def room_of(module: str) -> str:
    """The room that a module is in: ``service.http`` for ``service.http.routes.predict``.

    Modules beside the packages share a room, but for those of ``service``, of which each has a place of its own.
    """
    parts = module.split(".")
    beside = len(parts) == 2 and not (DOCS.parent / parts[0] / parts[1]).is_dir()
    return parts[0] if beside and parts[0] != "service" else ".".join(parts[:2])


def read_imports() -> Graph:
    """The rooms that each room imports from."""
    graph = grimp.build_graph(*PACKAGES)
    found: Graph = {}
    for module in sorted(graph.modules):
        if module not in PACKAGES:
            imported = {room_of(each) for each in graph.find_modules_directly_imported_by(module)}
            found.setdefault(room_of(module), set()).update(imported)
    return {room: imported - {room, "service"} for room, imported in found.items()}


def floors_of(imports: Graph) -> dict[str, int]:
    """How many rooms lie below each, one on the other; what closes a circle does not count."""
    floors: dict[str, int] = {}
    open_rooms: set[str] = set()

    def climb(room: str) -> int:
        if room not in floors:
            open_rooms.add(room)
            below = [climb(each) for each in sorted(imports.get(room, ())) if each not in open_rooms]
            open_rooms.remove(room)
            floors[room] = 1 + max(below, default=-1)
        return floors[room]

    for room in ("service.cli", *sorted(imports)):
        climb(room)
    return floors


def needed(imports: Graph, floors: dict[str, int]) -> list[tuple[str, str]]:
    """The arrows that do not follow from others, and every arrow that does not lead down."""
    down = {room: {each for each in found if floors[each] < floors[room]} for room, found in imports.items()}

    def reached(room: str) -> set[str]:
        return set().union(*({each} | reached(each) for each in down.get(room, ())))

    arrows = []
    for room, found in imports.items():
        indirect = set().union(*(reached(each) for each in down[room]))
        arrows += [(room, each) for each in sorted(found) if each not in down[room] or each not in indirect]
    return arrows


def places_of(floors: dict[str, int]) -> dict[str, tuple[float, float]]:
    """The middle of each box: a block of columns for each package, and ``scs`` below all of them."""
    places: dict[str, tuple[float, float]] = {}
    left = 0.0
    depth = 1 + max(floor for room, floor in floors.items() if room.split(".")[0] == "scs")
    for package in PACKAGES:
        storeys: dict[int, list[str]] = {}
        for room in sorted(floors):
            if room.split(".")[0] == package:
                storeys.setdefault(floors[room], []).append(room)
        widest = max(map(len, storeys.values()), default=0)
        for floor, here in storeys.items():
            for number, room in enumerate(here):
                column = number + (widest - len(here)) / 2
                places[room] = (
                    (COLUMN * (1 + column), floor - depth) if package == "scs" else (left + COLUMN * column, floor)
                )
        left += COLUMN * widest
    return places


def draw(imports: Graph) -> None:
    """Draw the rooms as boxes, and an arrow from each to those that it needs; one that leads up is red and dashed."""
    floors = floors_of(imports)
    places = places_of(floors)
    figure, axes = plt.subplots(figsize=(17, 9.5))
    for room, (x, y) in places.items():
        package, _, name = room.partition(".")
        box = {"boxstyle": "round,pad=0.35", "fc": PALE[package], "ec": COLOURS[package], "lw": 1.2}
        label = f"{package}/{name or '*.py'}"
        axes.text(x, y, label, ha="center", va="center", fontsize=11, family="DejaVu Sans Mono", bbox=box, zorder=2)
    for room, imported in needed(imports, floors):
        (x, y), (to_x, to_y) = places[room], places[imported]
        leads_down = floors[imported] < floors[room]
        bent = x == to_x and (abs(y - to_y) > 1 or not leads_down)
        line = FancyArrowPatch(
            (x, y - HALF_A_BOX if leads_down else y + HALF_A_BOX),
            (to_x, to_y + HALF_A_BOX if leads_down else to_y - HALF_A_BOX),
            connectionstyle=f"arc3,rad={0.3 if bent else 0}",
            arrowstyle="-|>",
            mutation_scale=10,
            color=COLOURS[room.split(".")[0]] if leads_down else "#d00000",
            linestyle="-" if leads_down else "--",
            zorder=1,
        )
        axes.add_patch(line)
    across, up = zip(*places.values(), strict=True)
    axes.set(xlim=(min(across) - 1.4, max(across) + 1.4), ylim=(min(up) - 0.5, max(up) + 0.5))
    axes.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=100)
    plt.close(figure)
    Image.open(drawn).convert("RGB").quantize(256).save(DOCS / "pictures" / "rooms.png", optimize=True)


if __name__ == "__main__":
    draw(read_imports())
