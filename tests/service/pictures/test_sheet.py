import numpy as np
import pytest
from PIL import Image
from skimage import data

from service.colours import DIVERGING, SEQUENTIAL
from service.pictures.sheet import COLUMNS, INK, PANEL, WIDTH, LayerRow, Panel, draw_sheet, lettering

RED = DIVERGING[255]


def ramp(height, width):
    return np.linspace(-1, 1, height * width, dtype=np.float32).reshape(height, width)


def sheet_of(*panels, picture=None, title="cat 62%", overlay=False, name="stem", caption="16 channels"):
    picture = data.chelsea() if picture is None else picture
    return draw_sheet(picture, [LayerRow(name, caption, panels)], title, overlay)


def pixels_of(image, colour):
    return np.argwhere((np.asarray(image) == colour).all(axis=2))


def test_a_sheet_is_one_white_page_of_a_fixed_width():
    sheet = sheet_of(Panel("channel 0", ramp(6, 8), signed=True))

    assert (sheet.mode, sheet.width) == ("RGB", WIDTH)
    border = np.concatenate([np.asarray(sheet)[:30].ravel(), np.asarray(sheet)[:, :30].ravel()])
    assert (border == 255).all()


def test_the_picture_is_shown_in_colour_and_upright():
    thumbnail = np.asarray(sheet_of().crop((40, 40, 440, 306)).resize((451, 300)), float)
    assert np.abs(thumbnail - data.chelsea()).mean() < 8


def test_a_small_map_is_scaled_up_with_its_cells_visible():
    values = np.zeros((4, 4), np.float32)
    values[1, 2] = 1
    values[3, 0] = -1
    cell = pixels_of(sheet_of(Panel("one cell", values, signed=True), picture=np.zeros((8, 8, 1), np.uint8)), RED)
    cell = cell[cell[:, 1] < 40 + 182]  # left of the colour bar's own end

    height, width = np.ptp(cell, axis=0) + 1
    assert abs(height - PANEL[0] / 4) <= 1
    assert abs(width - PANEL[0] / 4) <= 1
    assert len(cell) == height * width


@pytest.mark.parametrize("overlay", [False, True])
def test_the_only_peak_of_a_large_map_can_still_be_seen(overlay):
    values = np.zeros((768, 1024), np.float32)
    values[300, 500] = 1
    blank = sheet_of(Panel("channel 0", 0 * values, signed=True), overlay=overlay).convert("RGB")
    sheet = sheet_of(Panel("channel 0", values, signed=True), overlay=overlay)

    panel = (slice(420, 560), slice(40, 40 + PANEL[0]))
    changed = np.abs(np.asarray(sheet, int)[panel] - np.asarray(blank, int)[panel]).max(axis=2) > 60
    assert changed.any()


def test_panels_stand_side_by_side_and_continue_below():
    heights = [sheet_of(*[Panel("channel", ramp(6, 8), signed=True)] * count).height for count in range(1, 9)]

    assert len(set(heights[:COLUMNS])) == 1
    assert len(set(heights[COLUMNS:])) == 1
    assert heights[COLUMNS] > heights[0] + PANEL[0] / 2


def test_every_panel_has_a_bar_of_its_own_colours():
    signed = sheet_of(Panel("a", np.zeros((2, 2)) + 1, signed=True))
    unsigned = sheet_of(Panel("a", np.zeros((2, 2)) + 1, signed=False))

    assert len(pixels_of(signed, DIVERGING[1])) > 0
    assert len(pixels_of(unsigned, SEQUENTIAL[0])) > 0


def test_the_limits_are_written_below_the_bar():
    small, large = (np.asarray(sheet_of(Panel("a", ramp(6, 8) * factor, signed=True))) for factor in (1, 123))

    differ = np.argwhere((small != large).any(axis=2))
    assert len(differ)  # the colours are the same, so only the numbers can differ
    assert differ[:, 0].min() > small.shape[0] - 70


def test_an_overlay_shows_the_picture_below_the_map():
    panel = Panel("a", np.ones((6, 8), np.float32), signed=True)
    face, camera = sheet_of(panel, overlay=True), sheet_of(panel, picture=data.camera()[..., None], overlay=True)

    assert len(np.unique(np.asarray(face)[400:520, 60:240].reshape(-1, 3), axis=0)) > 30
    assert len(np.unique(np.asarray(camera)[560:700, 60:240].reshape(-1, 3), axis=0)) > 30


@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (1000, 1), (2000, 3)])
@pytest.mark.parametrize("overlay", [False, True])
def test_maps_and_pictures_of_any_shape_fit(shape, overlay):
    picture = np.zeros((*shape, 3), np.uint8)
    sheet = sheet_of(Panel("a", np.ones(shape), signed=False), picture=picture, overlay=overlay)
    assert sheet.width == WIDTH


def test_a_long_title_is_wrapped_and_a_second_line_added():
    short = sheet_of(title="cat", picture=np.zeros((10, 100, 3), np.uint8))
    long = sheet_of(title="cat " * 60, picture=np.zeros((10, 100, 3), np.uint8))
    two = sheet_of(title="cat\ndog", picture=np.zeros((10, 100, 3), np.uint8))

    assert short.width == long.width == WIDTH
    assert long.height > short.height
    assert two.height > short.height


def test_letters_the_font_lacks_are_drawn_as_the_nearest_that_it_has():
    plain, fancy = sheet_of(title="7x7 dog > -1 ?"), sheet_of(title="7×7 dög → −1 中")
    assert np.array_equal(np.asarray(plain), np.asarray(fancy))


def test_a_sheet_without_words_or_layers_is_still_a_sheet():
    assert isinstance(draw_sheet(data.camera()[..., None], [], ""), Image.Image)
    assert sheet_of(name="", caption="", title="").width == WIDTH


@pytest.mark.parametrize(
    "text, drawn", [("Straße nach Süd", "Strasse nach Sud"), ("Łódź, Ærø", "Lodz, Aero"), ("猫", "?")]
)
def test_letters_that_the_font_has_not_are_drawn_as_the_nearest_that_it_has(text, drawn):
    assert lettering(text, 15, INK, 400) == lettering(drawn, 15, INK, 400)
