"""The one picture of all layers says what the numbers say."""

import pytest

from service.api.activations import ActivationOptions
from service.api.files import NamedBytes, Upload
from service.pictures.sheet import draw_sheet
from service.repository.repository import ModelRepository
from service.tasks.activations.activate import activate
from service.tasks.activations.contact_sheet import draw_activations


@pytest.fixture
def drawn(repository, settings, jpeg, monkeypatch):
    """Draw with the options given; what was drawn, as :func:`service.pictures.sheet.draw_sheet` was told."""
    store = ModelRepository(repository, "cpu", "shapes-scs")
    store.load_all()

    def draw(**options):
        told = {}

        def listen(picture, rows, title, overlay, region):
            told.update(picture=picture, rows=rows, title=title, overlay=overlay)
            return draw_sheet(picture, rows, title, overlay, region)

        monkeypatch.setattr("service.tasks.activations.contact_sheet.draw_sheet", listen)
        upload = Upload([NamedBytes("cat.jpg", jpeg)])
        activations = activate(store.get(), upload, ActivationOptions.model_validate(options), settings)
        told["image"] = draw_activations(activations, overlay=False)
        return activations, told

    return draw


def test_the_headline_is_the_prediction_and_the_rows_are_the_layers(drawn):
    activations, told = drawn()
    assert told["title"].startswith(activations.classes[0].label)
    assert [row.name for row in told["rows"]] == ["stem", "block1", "block2", "class_map"]
    assert told["image"].width > 1000


def test_channels_of_the_class_map_are_called_by_their_class(drawn):
    _, told = drawn(layers="class_map", channels="all")
    assert [panel.title for panel in told["rows"][0].panels] == ["disc", "bar", "cross"]


def test_the_class_asked_for_comes_first_and_its_caption_adds_up(drawn):
    activations, told = drawn(**{"class": "bar"})
    seen = activations.class_map
    assert told["rows"][0].name == "class map: bar"
    assert f"{seen.logit:+.3f}" in told["rows"][0].caption


def test_the_best_place_of_a_template_is_drawn_on_the_picture(drawn, photograph):
    activations, told = drawn(layers="stem", box="100,80,60,50")
    plain = activations.picture.pixels
    changed = (told["picture"] != plain).any(-1)
    assert changed[80, 100:160].all() and changed[80:130, 100].all(), "the box's edge"
    assert not changed[90:120, 110:150].any(), "and nothing inside it"
    assert told["rows"][0].panels[-1].title == "similarity to the template"


def test_a_box_thinner_than_a_pixel_of_the_analysed_picture_is_drawn(client, jpeg):
    options = {"box": "300,200,20,1", "resize": "64", "layers": "stem"}
    drawn = client.post("/activations", content=jpeg, params=options, headers={"accept": "image/png"})
    assert drawn.status_code == 200 and drawn.content.startswith(b"\x89PNG")


def test_the_similarity_is_drawn_where_the_templates_centre_is(drawn):
    _, told = drawn(layers="stem", box="300,200,100,60")
    values = told["rows"][0].panels[-1].values
    row, column = divmod(int(values.argmax()), values.shape[1])
    assert values.shape == (300, 451)
    assert abs(row - 230) <= 1 and abs(column - 350) <= 1
