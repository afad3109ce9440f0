from service.observability.meter import ModelStatistics
from service.oip.triton_statistics import model_statistics


def test_counts_and_nanoseconds_come_under_tritons_names(client):
    card = client.app.state.services.models.get("shapes-scs").card
    done = ModelStatistics(inference_count=12, execution_count=2, last_inference_ms=1_700_000_000_000)
    done.success.add(0.5, 3)
    done.decode.add(0.25)
    done.inference.add(0.125, 2)
    done.batches[4].add(0.1)
    done.batches[8].add(0.2)
    written = model_statistics(card, done)
    assert (written["name"], written["version"], written["last_inference"]) == ("shapes-scs", "1", 1_700_000_000_000)
    assert (written["inference_count"], written["execution_count"]) == (12, 2)
    stats = written["inference_stats"]
    assert stats["success"] == {"count": 3, "ns": 1_750_000_000}
    assert stats["compute_input"] == {"count": 2, "ns": 250_000_000}
    assert stats["compute_infer"] == {"count": 2, "ns": 250_000_000}
    assert [(each["batch_size"], each["compute_infer"]["count"]) for each in written["batch_stats"]] == [(4, 1), (8, 1)]


def test_the_parts_of_the_computing_have_one_count_without_which_perf_analyzer_stops(client):
    done = ModelStatistics()
    done.decode.add(0.1, 5)
    done.inference.add(0.2, 3)
    done.batches[1].add(0.2, 3)
    written = model_statistics(client.app.state.services.models.get("shapes-scs").card, done)
    for stats in (written["inference_stats"], *written["batch_stats"]):
        assert {stats[part]["count"] for part in ("compute_input", "compute_infer", "compute_output")} == {3}
