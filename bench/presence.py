"""Is the template in the scene at all? False alarms and misses of ``present``, by kind of scene.

Scenes are screens, boards, particles, photographs, pages of text, signals, plans and sheets of icons, drawn by
bench/scenes with no copy of the template, one, a few, 8, 20, 62 or 300, exact, mild or moderate (scale, blur, light,
noise, JPEG). The numbers of scs.matching.presence.verdict were chosen on the first kinds, and are reported on the
others.

A false alarm is a scene without the template in which some match is present. A miss is a copy that is not found
present; misses are averaged over scenes, so that those with 300 copies count as much as those with one. A stranger is a
place beside copies that is none and is called present; counted are the scenes with one.

Prints a table and writes bench/results/presence.json. Needs scikit-image and matplotlib.

    python bench/presence.py [--scenes 225] [--quick] [--seed 1] [--only KIND ...]
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scenes import CHOSEN_ON, REPORTED_ON
from scenes.renditions import LEVELS, NAMES, rendered

from scs.matching.finding import Search, find

RESULTS = Path(__file__).parent / "results" / "presence.json"
COPIES = (0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 4, 8, 20, 62, 300)
SPARE = 6  # matches asked for beyond the copies
NEAR = 3  # pixels
USUAL_THRESHOLD = 0.8
QUICK = 30


@dataclass(frozen=True)
class Outcome:
    """What was answered about one scene: copies there are, copies found, and whether another place was present.

    Such a place is an alarm where there are no copies, and a stranger beside them.
    """

    kind: str
    level: int
    copies: int
    present: float
    alarm: bool
    stranger: bool
    above: float
    alarm_above: bool
    seconds: float


def look(kind, drawn, level):
    asked = len(drawn.corners) + SPARE
    started = time.perf_counter()
    matches = find(drawn.pixels, [drawn.template], Search(top=asked)).matches
    seconds = time.perf_counter() - started
    true = [is_copy(match, drawn.corners) for match in matches]
    copies = len(drawn.corners)

    def share(said):
        return sum(yes and right for yes, right in zip(said, true, strict=True)) / copies if copies else 0.0

    present = [match.present for match in matches]
    wrong = any(yes and not right for yes, right in zip(present, true, strict=True))
    above = [match.score > USUAL_THRESHOLD for match in matches]
    return Outcome(
        kind,
        level,
        copies,
        share(present),
        wrong and not copies,
        wrong and copies > 0,
        share(above),
        any(above) and not copies,
        seconds,
    )


def is_copy(match, corners):
    row, column = match.y - match.height / 2, match.x - match.width / 2
    return any(abs(row - top) <= NEAR and abs(column - left) <= NEAR for top, left in corners)


def measure(kind, draw, scenes, seed):
    for number in range(scenes):
        rng = np.random.default_rng([seed, *kind.encode(), number])
        copies = COPIES[number % len(COPIES)]
        copies = int(rng.integers(3, 6)) if copies == 4 else copies
        level = int(rng.integers(len(LEVELS)))
        yield look(kind, rendered(draw(rng, copies), level, rng), level)


def summary(outcomes):
    absent = [one for one in outcomes if not one.copies]
    there = [one for one in outcomes if one.copies]
    return {
        "scenes": len(outcomes),
        "false_alarms": mean([one.alarm for one in absent]),
        "misses": mean([1 - one.present for one in there]),
        "strangers": mean([one.stranger for one in there]),
        "misses_by_level": [mean([1 - one.present for one in there if one.level == n]) for n in range(len(NAMES))],
        "misses_by_copies": {
            name: mean([1 - one.present for one in there if low <= one.copies <= high])
            for name, low, high in (("1", 1, 1), ("2 to 8", 2, 8), ("20", 9, 25), ("62", 26, 80), ("300", 81, 400))
        },
        "usual_false_alarms": mean([one.alarm_above for one in absent]),
        "usual_misses": mean([1 - one.above for one in there]),
    }


def mean(values):
    return round(float(np.mean(values)), 4) if values else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=225, help="of each kind")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} scenes of each kind; writes nothing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", metavar="KIND")
    options = parser.parse_args()
    scenes = QUICK if options.quick else options.scenes
    report = {}
    print(f"{'kind':<20}{'':<10}{'alarms':>8}{'missed':>8}{'strangers':>11}   by level, and score > .8")
    for half, kinds in (("chosen on", CHOSEN_ON), ("reported on", REPORTED_ON)):
        for kind, draw in kinds.items():
            if options.only and kind not in options.only:
                continue
            found = list(measure(kind, draw, scenes, options.seed))
            report[kind] = {"half": half, **summary(found)}
            one = report[kind]
            print(
                f"{kind:<20}{half:<12}{one['false_alarms']:>6.3f}{one['misses']:>8.3f}{one['strangers']:>11.3f}"
                f"   {one['misses_by_level']} {list(one['misses_by_copies'].values())}"
                f"  {one['usual_false_alarms']:.3f} {one['usual_misses']:.3f}"
                f"  {1e3 * np.median([each.seconds for each in found]):.0f} ms",
                flush=True,
            )
    if not options.quick and not options.only:
        RESULTS.write_text(json.dumps({"kinds": report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
