"""A run on Ray writes the rows that one on processes writes."""

import pytest

from scs.errors import OptionError
from service.map.ray_data import map_on_ray

from .test_mapping import rows_of

pytest.importorskip("ray", reason="needs the extra `ray`")
pytestmark = [
    pytest.mark.slow,
    # Ray's own sockets, files and deprecations.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::UserWarning"),
]


def test_rows_of_a_run_on_ray_are_those_of_a_run_on_processes(pictures, mapped, tmp_path):
    told = []
    here = mapped(pictures, out=tmp_path / "here")
    there = mapped(pictures, out=tmp_path / "there", do=lambda task, run: map_on_ray(task, run, "local", told.append))
    assert rows_of(there) == rows_of(here)
    assert told[0] == 0 and told[-1] == 41 and sorted(told) == told


def test_a_cluster_that_is_not_there_is_named(pictures, mapped):
    with pytest.raises(OptionError, match="there is no Ray cluster at 'auto'"):
        mapped(pictures, do=lambda task, run: map_on_ray(task, run, "auto", lambda done: None))
