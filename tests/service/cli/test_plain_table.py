"""Tables of the command line where the terminal is narrow."""

from service.cli.printing.plain import PlainTable


def shown(capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "60")
    table = PlainTable("model", "what it is", "where")
    table.add_row(name, "a network of few layers, " * 3, "here and there")
    table.show()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    return lines


def test_a_short_name_stays_whole_and_nothing_is_cut(capsys, monkeypatch):
    lines = shown(capsys, monkeypatch, "mnist-scs-small-blurred")
    assert any("mnist-scs-small-blurred" in line for line in lines)
    assert "…" not in "".join(lines) and "".join(lines).count("network") == 3


def test_a_long_name_is_folded_and_all_of_it_is_there(capsys, monkeypatch):
    lines = shown(capsys, monkeypatch, "abcdefghij" * 9)
    first = "".join(line.split("│")[1].strip() for line in lines if line.startswith("│"))
    assert first == "abcdefghij" * 9
