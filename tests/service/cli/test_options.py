from pathlib import Path

import pytest

from scs.errors import OptionError
from service.api.match import MatchOptions
from service.cli.options import check_apart, checked, suffix_of


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


def test_a_file_that_is_read_is_not_written_over_by_whatever_name(tmp_path):
    read, link, other = (tmp_path / name for name in ("scene.png", "link.png", "found.png"))
    read.write_bytes(b"precious")
    link.symlink_to(read)
    for written in (read, link):
        with pytest.raises(OptionError, match=f"--out is another file than those that are read; '{written.name}' came"):
            check_apart(written, "--out", [None, read])
    check_apart(other, "--out", [read])
    check_apart(None, "--out", [read])
