from scs.nearest import there_are

CLASSES = [f"class {number}" for number in range(998)]


def test_a_few_names_are_all_said():
    assert there_are("x", ["cat", "dog"]) == "there are: cat, dog"
    assert there_are("x", []) == "there are: none"


def test_of_many_the_most_alike_are_said_whether_capital_or_small():
    assert there_are("TABY CAT", [*CLASSES, "Tabby cat", "dog"]) == "there are 1000, the nearest is 'Tabby cat'"


def test_of_many_those_that_hold_the_name_are_said_first_the_shortest_first():
    said = there_are("tabby", [*CLASSES, "tabby, tabby cat", "tabby cat"])
    assert said == "there are 1000, the nearest are 'tabby cat', 'tabby, tabby cat'"


def test_where_none_of_many_is_alike_their_number_is_said():
    assert there_are("zzz", CLASSES) == "there are 998, and none is like it"
    assert there_are("", CLASSES).startswith("there are 998")


def test_what_is_said_of_many_long_names_is_short():
    assert len(there_are("a" * 10_000, ["a" * 10_000 + str(number) for number in range(1000)])) < 1000
