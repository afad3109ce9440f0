import pytest

from scs.errors import ImageError, TooLargeError
from service.pictures.errors import error_about


@pytest.mark.parametrize("kind", [ImageError, TooLargeError])
def test_an_error_begins_with_the_name_and_keeps_its_kind(kind):
    with pytest.raises(kind, match="^mask 2 of 3: it is broken$"), error_about("mask 2 of 3"):
        raise kind("it is broken")


def test_an_error_of_another_kind_passes_as_it_is():
    with pytest.raises(KeyError, match="^'it is missing'$"), error_about("mask 2 of 3"):
        raise KeyError("it is missing")
