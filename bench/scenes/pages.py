"""Pages of printed text, as a scanner sees them."""

import numpy as np
from PIL import Image, ImageDraw

from scenes.drawn import WORDS, Drawn, font

FACES = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral")


def page(rng, copies):
    """A page with so many copies of one word among others."""
    name = str(rng.choice(FACES))
    letters = font(int(rng.integers(10, 17)), name)
    wanted = str(rng.choice([word for word in WORDS if len(word) > 3]))
    others = [word for word in WORDS if wanted not in word]
    total = max(90, round(copies * 1.6))
    words = [wanted] * copies + list(rng.choice(others, total - copies))
    order = rng.permutation(total)
    height_of_line = round(1.5 * letters.size)
    width = max(360, int(np.sqrt(total * 5 * letters.size * height_of_line)))
    left, top, right, bottom = letters.getbbox(wanted)
    starts, column, row = [], 12, 10
    for i in order:
        length = round(letters.getlength(words[i]))
        if column + length > width - 12:
            column, row = 12, row + height_of_line
        starts.append((row, column))
        column += length + round(letters.getlength(" "))
    image = Image.new("L", (width, row + height_of_line + 12), 245)
    draw = ImageDraw.Draw(image)
    corners = []
    for i, (row, column) in zip(order, starts, strict=True):
        draw.text((column, row), words[i], 25, letters)
        if words[i] == wanted:
            corners.append((row + top - 2, column + left - 2))
    if corners:
        row, column = corners[0]
        template = np.asarray(image)[row : row + bottom - top + 4, column : column + right - left + 4]
        return Drawn(np.asarray(image).copy(), template.copy(), corners)
    alone = Image.new("L", (right - left + 4, bottom - top + 4), 245)
    ImageDraw.Draw(alone).text((2 - left, 2 - top), wanted, 25, letters)
    return Drawn(np.asarray(image).copy(), np.asarray(alone).copy(), corners)
