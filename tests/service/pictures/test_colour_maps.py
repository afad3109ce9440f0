import io

import numpy as np
from PIL import Image
from skimage import data

from service.colours import DIVERGING, SEQUENTIAL, colourise, scale_for
from service.pictures.colour_maps import heatmap_png, lay_over, overlay_png


def read(png):
    return Image.open(io.BytesIO(png))


def test_a_heatmap_png_is_a_small_palette_picture_with_the_colours_of_its_numbers():
    values = data.camera()[::4, ::4].astype(np.float32) - 128
    scale = scale_for(values, signed=True)
    png = heatmap_png(values, scale)
    image = read(png)

    assert image.mode == "P"
    assert image.size == (128, 128)
    assert np.array_equal(np.asarray(image.convert("RGB")), DIVERGING[colourise(values, scale)])
    assert len(png) < values.size + 1200  # a byte a value, a palette, a header


def test_an_overlay_peaks_over_the_middle_of_the_cell_that_peaks():
    values = np.zeros((4, 8), np.float32)
    values[1, 6] = 1
    blank = np.zeros((64, 128, 1), np.uint8)

    laid = np.asarray(lay_over(values, scale_for(values, signed=False), blank, opacity=1))

    rows, columns = np.nonzero((laid == laid[24, 104]).all(axis=2))
    assert laid.shape == (64, 128, 3)
    assert (rows.mean(), columns.mean()) == (23.5, 103.5)
    assert (laid[24, 104].astype(int) - SEQUENTIAL[255]).max() < 20


def test_an_overlay_shows_the_grey_picture_where_it_is_clear_and_the_heatmap_where_it_is_not():
    astronaut, values = data.astronaut(), np.ones((8, 8), np.float32)
    scale = scale_for(values, signed=True)
    grey = np.asarray(Image.fromarray(astronaut).convert("L"))

    clear = np.asarray(read(overlay_png(values, scale, astronaut, opacity=0)))
    solid = np.asarray(read(overlay_png(values, scale, astronaut, opacity=1)))

    assert np.array_equal(clear, np.repeat(grey[..., None], 3, axis=2))
    assert (solid == DIVERGING[255]).all()


def test_an_overlay_keeps_both_the_picture_and_the_heatmap_readable():
    camera = data.camera()
    across = np.sin(np.arange(16, dtype=np.float32) / 2)
    values = np.tile(across, (16, 1))
    laid = np.asarray(read(overlay_png(values, scale_for(values, signed=True), camera[..., None])), float)

    lightness, warmth = laid.mean(axis=2), laid[..., 0] - laid[..., 2]
    spread = np.interp((np.arange(512) + 0.5) / 32 - 0.5, np.arange(16), across)
    assert np.corrcoef(warmth.mean(axis=0), spread)[0, 1] > 0.9
    assert all(np.corrcoef(lightness[:, column], camera[:, column])[0, 1] > 0.99 for column in range(0, 512, 32))


def test_an_overlay_takes_grey_pictures_and_maps_that_are_not_finite():
    values = np.array([[np.nan, np.inf], [-np.inf, 1]], np.float32)
    image = lay_over(values, scale_for(values, signed=True), data.camera()[..., None])
    assert (image.mode, image.size) == ("RGB", (512, 512))
