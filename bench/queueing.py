"""A machine that answers questions, as queues: its cores, its workers' event loops and networks, its heavy workers.

A simulation of events by SimPy. What a question takes is measured elsewhere (bench/scale.py) and given as a `Demand`.
What is left out: what switching between processes costs, caches and memory that cores share, and Python's lock, which a
worker's event loop and the thread of its network mostly take in turns.
"""

import random
import statistics
from dataclasses import dataclass, replace

import simpy

SLICE_S = 0.0005  # of a core, for a network: event loops go before, as they do by their priority


@dataclass(frozen=True)
class Demand:
    """Seconds of one core that a question takes, and the spread of each."""

    loop_s: float = 0.0  # of its worker's event loop
    network_s: float = 0.0  # of its worker's network, which runs those that wait together
    heavy_s: float = 0.0  # of one of the machine's heavy workers
    client_s: float = 0.0  # of whoever asks, where that is on the same machine
    variation: float = 0.3  # standard deviation by the mean; 1: exponential


@dataclass(frozen=True)
class Machine:
    cores: int
    workers: int = 1
    heavy_workers: int = 1
    batch: int = 32

    @property
    def threads(self):
        """Of a worker's network."""
        return max(1, self.cores // self.workers)


@dataclass(frozen=True)
class Outcome:
    rate: float
    seconds: list  # from question to answer

    @property
    def mean_s(self):
        return statistics.fmean(self.seconds)

    def percentile_s(self, percent):
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(len(self.seconds) * percent / 100))]


def by_connections(machine, demand, connections, seconds, seed=0):
    """Connections that each wait for their answer before they ask again, spread evenly over the workers."""
    served = _Served(machine, demand, seed)

    def ask(number):
        while True:
            yield from served.take_core(demand.client_s)
            yield from served.answer(number % machine.workers)

    for number in range(connections):
        served.clock.process(ask(number))
    return served.run(seconds)


def by_arrivals(machine, demand, rate, seconds, seed=0):
    """So many questions a second, at random (Poisson), each to a worker by chance, whatever becomes of those before."""
    served = _Served(machine, demand, seed)

    def arrive():
        while True:
            yield served.clock.timeout(served.random.expovariate(rate))
            served.clock.process(served.answer(served.random.randrange(machine.workers)))

    served.clock.process(arrive())
    return served.run(seconds)


def most_within(machine, demand, p99_s, seconds=2.0, steps=7):
    """The most questions a second, at random, of which 99 of 100 are answered in time."""
    low, high = 0.0, capacity(machine, demand)
    for _ in range(steps):
        middle = (low + high) / 2
        in_time = by_arrivals(machine, demand, middle, seconds).percentile_s(99) <= p99_s
        low, high = (middle, high) if in_time else (low, middle)
    return low


def capacity(machine, demand):
    """Questions a second at which the first of its parts is busy all the time."""
    all_s = demand.loop_s + demand.network_s + demand.heavy_s + demand.client_s
    parts = [
        (machine.cores, all_s),
        (machine.workers, demand.loop_s),
        (machine.workers * machine.threads, demand.network_s),
        (machine.heavy_workers, demand.heavy_s),
    ]
    return min(count / each for count, each in parts if each)


def without_client(demand):
    """The same where whoever asks is on another machine."""
    return replace(demand, client_s=0.0)


class _Served:
    """A machine at work. The first fifth of the time warms it up and is not counted."""

    def __init__(self, machine, demand, seed):
        self.clock, self.random = simpy.Environment(), random.Random(seed)
        self.machine, self.demand = machine, demand
        self.cores = simpy.PriorityResource(self.clock, machine.cores)
        self.heavy = simpy.Resource(self.clock, machine.heavy_workers)
        self.loops = [simpy.Resource(self.clock) for _ in range(machine.workers)]
        self.waiting = [simpy.Store(self.clock) for _ in range(machine.workers)]
        self.counts_from, self.answered = 0.0, []
        if demand.network_s:
            for waiting in self.waiting:
                self.clock.process(self.run_network(waiting))

    def run(self, seconds):
        self.counts_from = seconds / 5
        self.clock.run(seconds)
        return Outcome(len(self.answered) / (seconds - self.counts_from), self.answered)

    def answer(self, worker):
        """A question's way through a worker."""
        began = self.clock.now
        if self.demand.loop_s:
            with self.loops[worker].request() as turn:
                yield turn
                yield from self.take_core(self.varied(self.demand.loop_s))
        if self.demand.network_s:
            done = self.clock.event()
            self.waiting[worker].put(done)
            yield done
        if self.demand.heavy_s:
            with self.heavy.request() as turn:
                yield turn
                yield from self.take_core(self.varied(self.demand.heavy_s))
        if began >= self.counts_from:
            self.answered.append(self.clock.now - began)

    def run_network(self, waiting):
        """Run what waits, together, on as many cores as the network has threads."""
        while True:
            batch = [(yield waiting.get())]
            while waiting.items and len(batch) < self.machine.batch:
                batch.append((yield waiting.get()))
            left_s = sum(self.varied(self.demand.network_s) for _ in batch) / self.machine.threads
            while left_s > 0:
                turn_s = min(left_s, SLICE_S)
                yield simpy.AllOf(
                    self.clock, [self.clock.process(self.take_core(turn_s, 1)) for _ in range(self.machine.threads)]
                )
                left_s -= turn_s
            for done in batch:
                done.succeed()

    def take_core(self, seconds, priority=0):
        if seconds:
            with self.cores.request(priority) as turn:
                yield turn
                yield self.clock.timeout(seconds)

    def varied(self, mean_s):
        shape = self.demand.variation**-2
        return self.random.gammavariate(shape, mean_s / shape)
