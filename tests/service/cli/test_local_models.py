import pytest

from scs.errors import OptionError
from service.cli.local_models import own_repository, settings_for


def test_a_repository_that_was_named_may_be_written_to(tmp_path):
    assert own_repository(settings_for(tmp_path), "an export") == tmp_path


def test_so_may_one_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SCS_MODEL_REPOSITORY", str(tmp_path))
    assert own_repository(settings_for(None), "an export") == tmp_path


def test_the_one_that_came_with_the_package_is_never_written_to(monkeypatch):
    monkeypatch.delenv("SCS_MODEL_REPOSITORY", raising=False)
    with pytest.raises(OptionError, match="an export needs a folder of your own: name one with --repository or SCS"):
        own_repository(settings_for(None), "an export")
