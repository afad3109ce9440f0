import logging
import threading

import service.tasks.match.warmup
from service.tasks.match.warmup import warm_up, warming_up


def test_what_is_warmed_up_is_what_a_match_runs(monkeypatch):
    import scs.matching.finding as finding

    methods, find = set(), finding.find

    def watched(scene, templates, search=None, **options):
        methods.add((search or finding.Search()).method)
        return find(scene, templates, search, **options)

    monkeypatch.setattr(finding, "find", watched)
    warm_up()
    assert {"ccoeff_normed", "sqdiff", "scs"} <= methods


def test_it_runs_on_a_thread_of_its_own_and_is_over_when_the_service_stops(monkeypatch):
    ran = threading.Event()
    monkeypatch.setattr(service.tasks.match.warmup, "_DELAY_S", 0)
    monkeypatch.setattr(service.tasks.match.warmup, "warm_up", ran.set)
    with warming_up():
        assert ran.wait(20)
    assert "warm-up" not in {thread.name for thread in threading.enumerate()}


def test_a_service_that_stops_at_once_has_compiled_nothing(monkeypatch):
    monkeypatch.setattr(service.tasks.match.warmup, "_DELAY_S", 60)
    monkeypatch.setattr(service.tasks.match.warmup, "warm_up", lambda: 1 / 0)
    with warming_up():
        pass
    assert "warm-up" not in {thread.name for thread in threading.enumerate()}


def test_what_goes_wrong_is_logged_and_does_no_harm(monkeypatch, caplog):
    monkeypatch.setattr(service.tasks.match.warmup, "warm_up", lambda: 1 / 0)
    with caplog.at_level(logging.ERROR, "service.tasks.match.warmup"):
        service.tasks.match.warmup._try_to_warm_up()
    assert "could not be made ready" in caplog.text
