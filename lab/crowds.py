"""Synthetic crowds: Waldo, in red and white stripes with hat and glasses, among many who share parts of that.

Everything is drawn four times as fine as it is shown, and lengths on a figure are shares of its height.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

HEIGHT = 48  # pixels of a figure of ordinary size
MIDDLE = 0.7  # of the part of a figure that is seen in a crowd, above its feet
_FINE = 4
_ROW, _COLUMN = 24, 26  # pixels between neighbours: whoever stands in front hides the legs

RED, WHITE, BLUE, BLACK = (200, 30, 40), (240, 235, 230), (40, 70, 150), (25, 25, 25)
_SHIRTS: list[Colour] = [RED, WHITE, BLUE, (230, 190, 60), (60, 120, 70), (120, 60, 110), (90, 90, 95), (220, 120, 50)]
_TROUSERS: list[Colour] = [BLUE, (60, 60, 65), (110, 85, 60), (150, 145, 130)]
_HAIR: list[Colour] = [(70, 45, 30), (30, 25, 20), (190, 150, 80), (140, 70, 40), (150, 150, 150)]
_SKIN: list[Colour] = [(240, 200, 170), (205, 150, 115), (140, 95, 70)]


@dataclass(frozen=True)
class Person:
    """The looks of a person: clothes, hat, glasses and colours.

    Attributes:
        shirt: its colours, in turn; of one it is plain.
        upright: whether stripes of it run up and down.
        hat: colours of its brim and its top, or none.
        glasses: whether there are any.
        trousers: colour.
        hair: colour.
        skin: colour.
    """

    shirt: tuple[Colour, ...]
    upright: bool = False
    hat: tuple[Colour, Colour] | None = None
    glasses: bool = False
    trousers: Colour = BLUE
    hair: Colour = _HAIR[0]
    skin: Colour = _SKIN[0]


WALDO = Person((RED, WHITE), hat=(RED, WHITE), glasses=True)


@dataclass(frozen=True)
class Crowd:
    """A drawn scene, and where Waldo is in it.

    Attributes:
        pixels: ``(H, W, 3)``.
        centres: ``(n, 2)``, x and y of the middle of each Waldo: of the part of him that is seen.
    """

    pixels: Pixels
    centres: NDArray[np.float64]


def draw_crowd(seed: int, size: tuple[int, int] = (640, 960), waldos: int = 1) -> Crowd:
    """Draw a crowd on sand, nobody's head hidden, lit from one side.

    Args:
        seed: decides everything.
        size: height and width in pixels.
        waldos: how many there are. Of the others about one in four shares hat, stripes or glasses with him.
    """
    random = np.random.default_rng(seed)
    height, width = size
    canvas = np.empty((_FINE * height, _FINE * width, 3), np.uint8)
    canvas[:] = (214, 196, 160)
    feet = [
        (x + random.uniform(-6, 6), y + random.uniform(-4, 4))
        for y in range(HEIGHT, height + _ROW, _ROW)
        for x in range(HEIGHT // 2, width - HEIGHT // 3, _COLUMN)
    ]
    feet.sort(key=lambda place: place[1])
    rim = 1.3 * HEIGHT  # above which a head might be cut off
    inside = [
        number for number, (x, y) in enumerate(feet) if HEIGHT <= x < width - HEIGHT and rim <= y < height - HEIGHT / 4
    ]
    chosen = set(random.choice(inside, waldos, replace=False).tolist())
    centres = []
    for number, (x, y) in enumerate(feet):
        tall = HEIGHT * random.uniform(0.85, 1.15)
        person = WALDO if number in chosen else _somebody(random)
        centre = _draw_person(canvas, person, x, y, tall, np.radians(random.uniform(-7, 7)), random.choice([-1, 1]))
        if number in chosen:
            centres.append(centre)
    pixels = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    darkest, brightest = random.permutation([0.75, 1.1]).tolist()
    light = np.linspace(darkest, brightest, width)[None, :, None]
    noisy = pixels * light + random.normal(0, 5, pixels.shape)
    return Crowd(np.clip(noisy, 0, 255).astype(np.uint8), np.array(centres).reshape(-1, 2))


def draw_template() -> tuple[Pixels, NDArray[np.float32]]:
    """Draw Waldo alone, upright: the picture ``(40, 32, 3)`` about his middle, and how much of each pixel is of him."""
    pictures = []
    for grey in (0, 255):
        canvas = np.full((_FINE * 64, _FINE * 64, 3), grey, np.uint8)
        x, y = _draw_person(canvas, WALDO, 32, 60, HEIGHT, 0.0, 1)
        small = cv2.resize(canvas, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
        top, left = round(y) - 20, round(x) - 16
        pictures.append(small[top : top + 40, left : left + 32])
    # Where black shows through as black and white as white, there is nobody.
    weights = 1 - (pictures[1] - pictures[0]).mean(2) / 255
    return ((pictures[0] + pictures[1]) / 2).astype(np.uint8), weights.astype(np.float32)


def _somebody(random: np.random.Generator) -> Person:
    """Choose the looks of somebody who is not Waldo."""

    def one(colours: Sequence[Colour]) -> Colour:
        return colours[int(random.integers(len(colours)))]

    plain = (one(_SHIRTS),)
    alike = {
        "shirt of other stripes": Person((one([BLUE, BLACK, _SHIRTS[4]]), WHITE), hat=(RED, WHITE), glasses=True),
        "stripes up and down": Person((RED, WHITE), upright=True, hat=(RED, WHITE), glasses=True),
        "no hat": Person((RED, WHITE), glasses=bool(random.integers(2))),
        "another hat": Person((RED, WHITE), hat=(BLUE, one([WHITE, BLUE])), glasses=True),
        "only the hat": Person(plain, hat=(RED, WHITE), glasses=bool(random.integers(2))),
    }
    kind = random.choice([*alike, "other"], p=[0.05] * len(alike) + [0.75])
    hat = (one(_SHIRTS), one(_SHIRTS[3:])) if random.random() < 0.2 else None
    worn = alike.get(kind, Person(plain, hat=hat, glasses=random.random() < 0.2))
    dressed = {"trousers": one(_TROUSERS), "hair": one(_HAIR), "skin": one(_SKIN)}
    return Person(worn.shirt, worn.upright, worn.hat, worn.glasses, **dressed)


def _draw_person(
    canvas: Pixels, person: Person, x: float, y: float, tall: float, lean: float, side: int
) -> tuple[float, float]:
    """Draw somebody whose feet are at x, y; returns where the middle is."""
    cosine, sine = np.cos(lean), np.sin(lean)

    def at(across: float, up: float) -> tuple[float, float]:
        across *= side
        return x + tall * (cosine * across + sine * up), y + tall * (sine * across - cosine * up)

    def fill(colour: Colour, *corners: tuple[float, float]) -> None:
        points = np.array([at(*corner) for corner in corners]) * _FINE
        cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], colour)

    def disc(colour: Colour, across: float, up: float, radius: float, thick: float = 0.0) -> None:
        centre = np.rint(np.array(at(across, up)) * _FINE).astype(int).tolist()
        line = max(1, round(thick * tall * _FINE)) if thick else -1
        cv2.circle(canvas, centre, round(radius * tall * _FINE), colour, line)

    def box(colour: Colour, left: float, right: float, low: float, high: float) -> None:
        fill(colour, (left, low), (right, low), (right, high), (left, high))

    for left, right in ((-0.11, -0.01), (0.01, 0.11)):
        box(person.trousers, left, right, 0.02, 0.44)
        box(BLACK, left - 0.01, right + 0.01, 0, 0.03)
    for part in ((-0.13, 0.13, 0.42, 0.76), (-0.2, -0.14, 0.46, 0.74), (0.14, 0.2, 0.46, 0.74)):
        _fill_stripes(box, person, *part)
    disc(person.skin, -0.17, 0.45, 0.035)
    disc(person.skin, 0.17, 0.45, 0.035)
    disc(person.hair, 0, 0.87, 0.115)
    disc(person.skin, 0.01, 0.845, 0.095)
    if person.glasses:
        for across in (-0.035, 0.06):
            disc(BLACK, across, 0.86, 0.037, 0.018)
    if person.hat:
        brim, top = person.hat
        fill(top, (-0.1, 0.93), (0.1, 0.93), (0.07, 1.05), (-0.05, 1.06))
        box(brim, -0.12, 0.12, 0.905, 0.955)
        disc(brim, 0.0, 1.07, 0.035)
    return at(0, MIDDLE)


def _fill_stripes(
    box: Callable[[Colour, float, float, float, float], None],
    person: Person,
    left: float,
    right: float,
    low: float,
    high: float,
) -> None:
    count = 6 if len(person.shirt) > 1 else 1
    for number in range(count):
        colour = person.shirt[number % len(person.shirt)]
        share, following = number / count, (number + 1) / count
        if person.upright:
            box(colour, left + share * (right - left), left + following * (right - left), low, high)
        else:
            box(colour, left, right, high - following * (high - low), high - share * (high - low))
