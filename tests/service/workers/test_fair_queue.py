"""Clients take turns, and what has to make way is the newest of whoever has most."""

from hypothesis import given
from hypothesis import strategies as st

from service.workers.fair_queue import FairQueue


def taken(queue):
    items = []
    while (item := queue.take()) is not None:
        items.append(item)
    return items


def test_clients_take_turns_and_each_ones_work_keeps_its_order():
    queue = FairQueue(10)
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        assert queue.put(item[0], item) is None
    assert taken(queue) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_in_a_full_queue_the_newest_of_the_greediest_makes_way():
    queue = FairQueue(4)
    for number in range(4):
        queue.put("greedy", f"g{number}")
    assert queue.put("greedy", "g4") == "g4"
    assert queue.put("other", "o0") == "g3"
    assert queue.put("other", "o1") == "g2"
    assert queue.put("other", "o2") == "o2", "each has a fair share, so the one that comes is refused"
    assert taken(queue) == ["g0", "o0", "g1", "o1"]


def test_thirty_four_of_one_client_do_not_turn_others_away():
    queue = FairQueue(32)
    for number in range(34):
        queue.put("greedy", ("greedy", number))
    assert all(queue.put(f"client{number}", ("other", number)) is not None for number in range(16))
    assert sum(item[0] == "other" for item in taken(queue)) == 16


def test_what_was_given_up_is_not_taken():
    queue = FairQueue(3)
    queue.put("a", "a1")
    queue.put("b", "b1")
    assert queue.remove("a", "a1") and not queue.remove("a", "a1") and not queue.remove("c", "c1")
    assert len(queue) == 1 and taken(queue) == ["b1"]


@given(st.integers(1, 5), st.lists(st.tuples(st.sampled_from(["put", "take", "remove"]), st.sampled_from("abc"))))
def test_nothing_is_lost_or_doubled_and_the_bound_holds(most, steps):
    queue, inside = FairQueue(most), []
    for number, (step, client) in enumerate(steps):
        if step == "put":
            item = (client, number)
            evicted = queue.put(client, item)
            inside.append(item)
            if evicted is not None:
                inside.remove(evicted)
        elif step == "take":
            item = queue.take()
            assert (item is None) == (not inside)
            if item is not None:
                inside.remove(item)
        elif inside:
            item = inside.pop()
            assert queue.remove(item[0], item)
        assert len(queue) == len(inside) <= most
    assert sorted(taken(queue)) == sorted(inside)
