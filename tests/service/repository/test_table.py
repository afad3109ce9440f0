import pytest

from scs.errors import ModelError, UnknownNameError
from service.repository.aliases import Aliases
from service.repository.loader import LoadedModel
from service.repository.table import ModelTable, Versions, VersionState

NO_ALIASES = Aliases()


def usable(version):
    return VersionState("cat", version, model=LoadedModel(card=None, runtime=None))


def broken(version, **details):
    return VersionState("cat", version, reason="it is broken", **details)


def table(*states, aliases=NO_ALIASES, default="cat"):
    made = ModelTable(default)
    made.put("cat", Versions({state.version: state for state in states}, aliases))
    return made


def test_the_newest_usable_version_answers_unless_the_alias_default_names_another():
    one, two = usable(1), usable(2)
    models = table(one, two, broken(3))
    assert models.get("cat") is models.get() is two.model
    assert models.default_version("cat") == 2
    assert table(one, two, aliases=Aliases({"default": 1})).get("cat") is one.model


def test_a_version_is_asked_for_by_number_by_its_digits_and_by_alias():
    one, two = usable(1), usable(2)
    models = table(one, two, aliases=Aliases({"stable": 1}))
    assert models.get("cat", 1) is models.get("cat", "1") is models.get("cat", "stable") is one.model
    assert models.aliases("cat") == {"stable": 1}


def test_a_version_that_cannot_be_used_says_why():
    with pytest.raises(ModelError, match="cat 1 is not available: it is broken"):
        table(broken(1)).get("cat", 1)
    with pytest.raises(ModelError, match="cat 1 is not available: it is being loaded"):
        table(VersionState("cat", 1, loading=True)).get()


def test_what_is_not_there_is_refused_with_what_is():
    with pytest.raises(UnknownNameError, match="no version 2 of cat; there are: 1, stable"):
        table(usable(1), aliases=Aliases({"stable": 1})).get("cat", 2)
    with pytest.raises(UnknownNameError, match="no model 'dog'; there are: cat"):
        table(usable(1)).versions_of("dog")


@pytest.mark.parametrize(
    ("states", "default", "ready"),
    [
        ([usable(1)], "cat", True),
        ([usable(1), broken(2)], "cat", True),
        ([usable(1), broken(2, required=True)], "cat", False),
        ([usable(1)], "dog", False),
    ],
)
def test_it_is_ready_with_its_default_model_and_all_that_are_required(states, default, ready):
    assert table(*states, default=default).ready() is ready


def test_a_model_that_is_taken_out_is_gone():
    models = table(usable(1))
    models.put("cat", None)
    assert (models.names(), models.states(), models.find("cat")) == ([], [], None)
