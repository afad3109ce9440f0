from pathlib import Path

import pytest

from scs.errors import OptionError
from service.api.match import MatchOptions
from service.cli.options import checked, suffix_of


def test_options_that_were_not_given_are_those_of_the_route():
    assert checked(MatchOptions, top=3, box=None) == MatchOptions(top=3)


def test_an_option_that_breaks_the_routes_rules_is_refused_by_its_name():
    with pytest.raises(OptionError, match="top: .*; '0' came"):
        checked(MatchOptions, top=0)


@pytest.mark.parametrize("path, suffix", [(Path("heat.PNG"), ".png"), (Path("a.b.npz"), ".npz"), (None, "")])
def test_the_ending_of_a_file_to_be_written_says_its_form(path, suffix):
    assert suffix_of(path, "--out", "a .png or a .npz file", {".png", ".npz"}) == suffix


@pytest.mark.parametrize("name", ["heat.jpg", "png", ".png"])
def test_another_ending_is_refused_with_the_name(name):
    with pytest.raises(OptionError, match=f"--out is a .png file; '{name}' came"):
        suffix_of(Path("folder") / name, "--out", "a .png file", {".png"})
