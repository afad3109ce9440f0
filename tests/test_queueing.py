"""bench/queueing.py against the theory of queues, where there is one."""

import math
import sys
from pathlib import Path

import pytest

pytest.importorskip("simpy", reason="needs SimPy, which the extra `test` brings")
sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

from queueing import Demand, Machine, by_arrivals, by_connections, capacity, most_within


def erlang_c(servers, offered):
    """Chance that a question waits where ``servers`` share a queue (M/M/c), ``offered`` being rate by service rate."""
    free = [offered**n / math.factorial(n) for n in range(servers)]
    full = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return full / (sum(free) + full)


@pytest.mark.parametrize(("servers", "use"), [(1, 0.5), (2, 0.6), (4, 0.7)])
def test_workers_that_share_a_queue_have_the_mean_of_erlang_c(servers, use):
    rate = use * servers
    found = by_arrivals(
        Machine(servers, heavy_workers=servers), Demand(heavy_s=1.0, variation=1.0), rate, 15_000 / rate
    )
    waited = erlang_c(servers, rate) / (servers - rate)
    assert found.rate == pytest.approx(rate, rel=0.03)
    assert found.mean_s == pytest.approx(1 + waited, rel=0.08)


@pytest.mark.parametrize("variation", [0.3, 1.0])
def test_workers_with_a_queue_each_have_the_mean_of_pollaczek_and_khinchine(variation):
    use = 0.6
    found = by_arrivals(Machine(4, workers=4), Demand(loop_s=1.0, variation=variation), 4 * use, 6_000)
    waited = use * (1 + variation**2) / (2 * (1 - use))
    assert found.mean_s == pytest.approx(1 + waited, rel=0.08)


def test_connections_that_ask_again_at_once_keep_the_narrowest_part_busy():
    demand = Demand(loop_s=2e-4, network_s=1e-4, client_s=2e-5)
    machine = Machine(2)
    found = by_connections(machine, demand, 64, 1.0)
    assert found.rate == pytest.approx(capacity(machine, demand), rel=0.05)
    assert found.rate * found.mean_s == pytest.approx(64, rel=0.05)  # Little's law, but for the client's own share


def test_one_connection_waits_for_nobody():
    demand = Demand(loop_s=2e-4, network_s=1e-4, variation=0.01)
    assert by_connections(Machine(1), demand, 1, 1.0).mean_s == pytest.approx(3e-4, rel=0.01)


def test_pictures_that_wait_together_are_run_together():
    demand = Demand(loop_s=1e-5, network_s=1e-3)
    alone = by_connections(Machine(4), demand, 32, 1.0)
    assert alone.rate == pytest.approx(4000, rel=0.05)  # four threads, of a network each


def test_the_most_that_is_answered_in_time_is_where_the_wait_says_so():
    use = most_within(Machine(1), Demand(loop_s=1e-3, variation=1.0), p99_s=0.02, seconds=8) * 1e-3
    in_theory = 1 - math.log(100) / 20  # the time in M/M/1 is exponential
    assert use == pytest.approx(in_theory, rel=0.1)
