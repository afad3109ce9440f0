"""Draw the pictures of the documentation: ``python docs/draw.py`` writes them into ``docs/pictures/``.

The photographs come with scikit-image, among them Stefan van der Walt's cat Chelsea (CC0) and NASA's Eileen Collins
(public domain); heatmaps and matches are the product's own. Plots are of bench/results. Needs matplotlib, from
``.[train]``.
"""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
from PIL import Image

from lab.kernels.fractal import fractal
from lab.kernels.harmonic import circular_harmonics
from scs.matching.finding import Search, find
from scs.matching.scores import score_map

PICTURES = Path(__file__).parent / "pictures"
ROBUSTNESS = Path(__file__).parent.parent / "bench" / "results" / "robustness.json"
WISHES = ROBUSTNESS.with_name("wishes.json")
FAMILIES = {"scs": ("SCS", "#d55e00"), "conv": ("convolution", "#0072b2")}
NAMES = {"cifar10": "CIFAR-10", "mnist": "MNIST"}
RIGHT, WRONG = "#00c896", "#ff5a1f"


def draw_cat() -> Path:
    """A photograph of 1024x768."""
    cat = Image.fromarray(skimage.data.chelsea()).crop((20, 0, 420, 300))
    path = PICTURES / "cat.jpg"
    cat.resize((1024, 768), Image.Resampling.LANCZOS).save(path, quality=85, optimize=True)
    return path


def draw_eye(photograph: Path) -> None:
    """A template of 150x120: the cat's left eye on the picture, cut out without loss."""
    Image.open(photograph).crop((300, 230, 450, 350)).save(PICTURES / "eye.png", optimize=True)


def draw_heatmaps(photograph: Path) -> None:
    """What every layer of the default model sees in it."""
    with TemporaryDirectory() as folder:
        sheet = Path(folder) / "heatmaps.png"
        options = ["--class", "cat", "--out", str(sheet)]
        subprocess.run([sys.executable, "-m", "service.cli", "activations", str(photograph), *options], check=True)
        Image.open(sheet).save(PICTURES / "heatmaps.jpg", quality=85, optimize=True)  # a quarter of the size


def draw_outshouting() -> None:
    """One template's scores by three methods: the brightest place wins by one of them, whatever it looks like."""
    scene = skimage.data.camera()
    row, column, height, width = box = 160, 330, 56, 56
    template = cut(scene, box)
    figure, (first, *others) = panels(4, 1)
    show(first, scene, "template and scene")
    outline(first, box, RIGHT)
    for axes, method in zip(others, ("ccorr", "ccoeff_normed", "scs_centred"), strict=True):
        scores = score_map(scene, template, method).scores
        best = np.unravel_index(scores.argmax(), scores.shape)
        at_centres = np.full(scene.shape, np.nan)
        at_centres[height // 2 :, width // 2 :][: scores.shape[0], : scores.shape[1]] = scores
        show(axes, at_centres, f"{method}, highest score", colours="inferno")
        outline(axes, (*best, height, width), RIGHT if best == (row, column) else WRONG)
    save(figure, "outshouting.jpg")


def draw_poses() -> None:
    """Three templates on a photograph, found where it is turned by 115 degrees and scaled by 0.75."""
    photograph = skimage.data.coffee()
    boxes = [(90, 220, 100, 120), (250, 330, 100, 130), (110, 70, 80, 80)]
    matrix = cv2.getRotationMatrix2D((300, 200), 115, 0.75)
    scene = cv2.warpAffine(photograph, matrix, (600, 400))
    matches = find(scene, [cut(photograph, box) for box in boxes], Search(angles="auto", scales="auto")).matches
    figure, (left, right) = panels(2, 1.5)
    show(left, photograph, "templates")
    show(right, scene, "found, with turn and scale; their tops in white")
    colours = ("#ffd400", "#56b4e9", RIGHT)
    for box, colour in zip(boxes, colours, strict=True):
        outline(left, box, colour)
    for match in matches:
        corners = np.vstack([match.corners, match.corners[:1]]) - 0.5
        right.plot(*corners.T, color=colours[match.template], lw=2.5)
        right.plot(*corners[:2].T, color="white", lw=2.5)
        note(right, corners[:, 0].max() + 6, match.y, f"{match.angle:.1f}°, {match.scale:.3f}")
    save(figure, "poses.jpg")


def draw_kernels() -> None:
    """A template's first circular harmonics, what orders 0 to 16 hold of it, and fractal kernels made of it."""
    template = skimage.data.astronaut()[20:180, 150:310].mean(2)
    orders = circular_harmonics(template)[..., 0].real
    harmonics = [fractal(template, depth=0), *orders[1:4], orders[0] + 2 * orders[1:].sum(0)]
    fractals = [fractal(template, depth=depth, copies=5, ratio=0.35, twist=15) for depth in range(5)]
    figure, grid = panels(5, 1, rows=2)
    titles = ["template", "order 1", "order 2", "order 3", "orders 0-16", *(f"fractal, depth {i}" for i in range(5))]
    for axes, kernel, title in zip(grid, [*harmonics, *fractals], titles, strict=True):
        kernel = np.squeeze(kernel)
        show(axes, np.clip(128 + 40 * kernel / kernel.std(), 0, 255).astype(np.uint8), title)
    save(figure, "kernels.jpg")


def draw_parts() -> None:
    """A thing found again though it is bent: by its parts, where the best cosine of the whole is elsewhere."""
    photograph = skimage.data.chelsea()
    bent = bend(photograph, by=10, wave=120)
    box = 203, 253, 74, 74
    template = cut(photograph, box)
    figure, (first, *others) = panels(3, 1.5)
    show(first, photograph, "template")
    outline(first, box, RIGHT)
    for axes, method, colour in zip(others, ("ccoeff_normed", "parts"), (WRONG, RIGHT), strict=True):
        match = find(bent, [template], Search(method=method)).matches[0]
        show(axes, bent, f"bent, {method}")
        outline_match(axes, match, colour)
    save(figure, "parts.jpg")


def draw_presence() -> None:
    """Scenes with what was found in them; of the second screen the best place, which is not the template."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
    from scenes.boards import board
    from scenes.pages import page
    from scenes.particles import particles
    from scenes.renditions import rendered
    from scenes.screens import screen

    figure, grid = panels(5, 1)
    kinds = [("screen", screen, 8, 4), ("screen without", screen, 0, 12), ("page", page, 6, 0)]
    kinds += [("board", board, 7, 1), ("particles", particles, 20, 3)]
    for axes, (name, draw, copies, seed) in zip(grid, kinds, strict=True):
        rng = np.random.default_rng(seed)
        drawn = rendered(draw(rng, copies), 1, rng)
        matches = find(drawn.pixels, [drawn.template], Search(top=max(1, copies + 4))).matches
        present = [match for match in matches if match.present]
        shown = drawn.pixels.copy()
        height, width = drawn.template.shape[:2]
        shown[:height, :width] = drawn.template
        show(axes, shown, f"{name}: {len(present)} of {len(drawn.corners)}")
        for match in present:
            outline_match(axes, match, RIGHT)
        if not present:
            outline_match(axes, matches[0], WRONG)
    save(figure, "presence.jpg")


def draw_spoilt(dataset: str) -> None:
    """Accuracy by severity, a panel a corruption; severity 0 is the clean image. A line a seed, its mean thicker."""
    found = json.loads(ROBUSTNESS.read_text())["datasets"][dataset]
    figure, grid = plots(2, 5)
    for axes, (name, one) in zip(grid, found["corruptions"].items(), strict=True):
        draw_sides(axes, range(6), [found["spoilt_clean"], *one["severities"]])
        axes.set_title(name, fontsize=10)
        axes.set(ylim=(0, 100), xticks=range(6))
    label(figure, grid[0], f"{NAMES[dataset]}: severity", "accuracy, %")
    save(figure, f"spoilt-{dataset}.png")


def draw_attacked() -> None:
    """Accuracy by the budget of an attack, for each data set and method."""
    found = json.loads(ROBUSTNESS.read_text())["datasets"]
    figure, grid = plots(1, 2 * len(found))
    cells = [(dataset, method) for dataset in found for method in ("fgsm", "pgd")]
    for axes, (dataset, method) in zip(grid, cells, strict=True):
        attacks = found[dataset]["attacks"]
        draw_sides(axes, [0, *attacks["budgets_of_255"]], [attacks["clean"], *attacks[method]])
        axes.set_title(f"{NAMES[dataset]}, {method.upper()}", fontsize=10)
        axes.set(ylim=(0, 100), xticks=[0, *attacks["budgets_of_255"]])
    label(figure, grid[0], "most that a value changes, of 255", "accuracy, %")
    save(figure, "attacked.png")


def draw_reliability() -> None:
    """Accuracy by confidence, in bins that hold at least 20 images; on the diagonal a network knows how sure it is."""
    found = json.loads(ROBUSTNESS.read_text())["datasets"]
    figure, grid = plots(1, len(found), width=4)
    for axes, (dataset, one) in zip(grid, found.items(), strict=True):
        axes.plot([0, 100], [0, 100], color="#999999", lw=1, ls=":")
        for family, (name, colour) in FAMILIES.items():
            bins = {key: np.array(values) for key, values in one["reliability"][family].items()}
            full = bins["counts"] >= 20
            axes.plot(100 * bins["confidence"][full], 100 * bins["accuracy"][full], ".-", color=colour, label=name)
        axes.set_title(NAMES[dataset], fontsize=10)
        axes.set(xlim=(0, 100), ylim=(0, 100))
    label(figure, grid[0], "confidence, %", "accuracy, %")
    save(figure, "reliability.png")


def draw_sides(axes, x, cells):
    for family, (name, colour) in FAMILIES.items():
        shares = 100 * np.array([cell[family] for cell in cells])  # (points, seeds)
        axes.plot(x, shares.mean(1), ".-", color=colour, label=name)
        if shares.shape[1] > 1:
            axes.plot(x, shares, color=colour, lw=0.5, alpha=0.6)


def plots(rows, columns, width=None):
    """Panels of one scale, 1000 pixels wide in all unless each has a width, in inches."""
    size = (width * columns if width else 10, 2.3 * rows if not width else 3.4)
    figure, grid = plt.subplots(
        rows, columns, figsize=size, sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, grid.ravel()


def draw_wishes() -> None:
    """ROC curves of what networks would like to see as templates, and the network's own answer beside them."""
    results = json.loads(WISHES.read_text())
    kernels = {"plain": "#0072b2", "pyramid": "#009e73", "harmonic": "#e69f00", "fractal": "#cc79a7"}
    beside = {"in its last maps": ("black", ":"), "its own answer": ("black", "-")}
    figure, grid = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
    for axes, (name, found) in zip(grid, results["networks"].items(), strict=True):
        axes.plot([0, 100], [0, 100], color="#bbbbbb", lw=1)
        for kernel, (colour, line) in {**{one: (colour, "-") for one, colour in kernels.items()}, **beside}.items():
            shares = 100 * np.array([results["shares"], found[kernel]["roc"]])
            axes.plot(*shares, line, color=colour, label=f"{kernel}, {found[kernel]['auc']:.2f}")
        axes.set_title(name, fontsize=11)
        axes.legend(title="kernel, area", fontsize=9, frameon=False, loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("pictures without the thing above a score, %", fontsize=10)
    figure.supylabel("pictures with it, %", fontsize=10)
    save(figure, "wishes.jpg")


def label(figure, axes, x, y):
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)


def bend(picture, by, wave):
    """Move every pixel by a smooth wave, up to ``by`` pixels along each axis."""
    rows, columns = np.indices(picture.shape[:2], dtype=np.float32)
    across = columns + np.float32(by) * np.sin(2 * np.pi * rows / wave + 0.5)
    down = rows + np.float32(by) * np.cos(2 * np.pi * columns / wave)
    return cv2.remap(picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def cut(picture, box):
    row, column, height, width = box
    return picture[row : row + height, column : column + width]


def panels(columns, ratio, rows=1):
    """Panels side by side, 1000 pixels wide in all, each ``ratio`` times as wide as high."""
    figure, grid = plt.subplots(rows, columns, figsize=(10, rows * (10 / columns / ratio + 0.3)), squeeze=False)
    figure.subplots_adjust(0.002, 0.003, 0.998, 1 - 0.26 / figure.get_figheight(), 0.02, 0.12)
    return figure, grid.ravel()


def show(axes, pixels, title, colours="gray"):
    axes.imshow(pixels, cmap=colours)
    axes.set_title(title, fontsize=11, pad=4)
    axes.autoscale(False)
    axes.set_axis_off()


def outline(axes, box, colour):
    row, column, height, width = box
    axes.add_patch(plt.Rectangle((column - 0.5, row - 0.5), width, height, fill=False, ec=colour, lw=2.5))


def outline_match(axes, match, colour):
    outline(axes, (match.y - match.height / 2, match.x - match.width / 2, match.height, match.width), colour)


def note(axes, x, y, words):
    axes.text(x, y, words, color="white", fontsize=9, va="center", bbox={"fc": "#1a1a1a", "lw": 0, "pad": 2})


def save(figure, name):
    drawn = BytesIO()
    figure.savefig(drawn, dpi=100, format="png")
    plt.close(figure)
    Image.open(drawn).convert("RGB").save(PICTURES / name, quality=85, optimize=True)


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    cat = draw_cat()
    draw_eye(cat)
    draw_heatmaps(cat)
    draw_outshouting()
    draw_poses()
    draw_kernels()
    draw_parts()
    draw_presence()
    for dataset in json.loads(ROBUSTNESS.read_text())["datasets"]:
        draw_spoilt(dataset)
    draw_attacked()
    draw_reliability()
    draw_wishes()
