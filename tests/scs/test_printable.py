import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scs.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[/x] :smile:", "[/x] :smile:"),
        ("\x1b]0;pwned\x07\x1b[2J", r"\x1b]0;pwned\x07\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nscs: all is well\r", r"a\nscs: all is well\r"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("line\u2028end", r"line\u2028end"),
        ("bad\udcff.jpg", r"bad\xff.jpg"),
        ("half \ud800", r"half \ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("crème brûlée 猫 👩\u200d🔬", "crème brûlée 猫 👩\u200d🔬"),
    ],
)
def test_what_a_terminal_obeys_is_written_out_and_all_else_stays(text, shown):
    assert printable(text) == shown


def test_what_is_to_stay_stays():
    assert printable("a\n\x1bb", keep="\n") == "a\n\\x1bb"


@given(st.text(st.characters(exclude_categories=[])))
def test_whatever_comes_can_be_written_on_one_line_and_is_written_the_same_again(text):
    shown = printable(text)
    shown.encode()
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown
