import io

import numpy as np
import pytest
from PIL import Image

from scs.errors import OptionError
from service.client.files import to_file


def pixels_of(file):
    return np.load(io.BytesIO(file.content)) if file.is_npy else np.asarray(Image.open(io.BytesIO(file.content)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK"])
def test_a_picture_of_pillow_keeps_its_pixels(mode):
    grey = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8))
    picture = grey.convert("I").convert("I;16") if mode == "I;16" else grey.convert("RGB" if mode == "P" else "L")
    picture = picture if mode == "I;16" else picture.convert(mode)
    assert np.array_equal(pixels_of(to_file(picture)), np.asarray(picture))


def test_a_picture_of_pillow_is_not_turned_by_its_exif(photograph):
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation
    buffer = io.BytesIO()
    Image.fromarray(photograph).save(buffer, "JPEG", exif=exif)
    opened = Image.open(buffer)
    sent = Image.open(io.BytesIO(to_file(opened).content))
    assert sent.size == opened.size and 0x0112 not in sent.getexif()


def test_arrays_and_what_turns_into_them_are_sent_as_numbers():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.eye(3, dtype=np.float32)

    for sent in (np.eye(3, dtype=np.float32), Tensor()):
        file = to_file(sent)
        assert file.is_npy and np.array_equal(pixels_of(file), np.eye(3))


def test_the_file_of_an_array_is_one_wherever_it_comes_from(tmp_path):
    np.save(tmp_path / "scene.npy", np.eye(3))
    assert to_file(tmp_path / "scene.npy").is_npy
    assert to_file((tmp_path / "scene.npy").read_bytes()).is_npy


@pytest.mark.parametrize(
    ("came", "said"),
    [
        (3, "int came"),
        (None, "NoneType came"),
        ([1, 2], "list came"),
        (io.StringIO("text"), "open in binary mode; reading it gave str"),
        (np.array([object()]), "holds numbers; it holds object"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(came, said):
    with pytest.raises(OptionError, match=said):
        to_file(came)


def test_a_file_that_is_not_there_is_an_error_of_the_system():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        to_file("nowhere.png")
