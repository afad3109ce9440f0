import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scs.errors import BusyError, TooLargeError
from service.inference.batch_queue import BatchLimits, BatchQueue, Waiting

LIMITS = BatchLimits(rows=4, pixels=1000, delay_s=0.0, waiting=10)


def waiting(rows, shape=(2, 2, 1), arrived=0.0):
    return Waiting(np.zeros((rows, *shape), np.uint8), None, arrived)


def queue_of(*items, limits=LIMITS):
    queue = BatchQueue(limits)
    for item in items:
        queue.put(item)
    return queue


def test_a_batch_is_the_oldest_requests_up_to_so_many_rows():
    items = [waiting(rows) for rows in (1, 2, 1, 1)]
    queue = queue_of(*items)
    assert queue.take(10) == items[:3]
    assert queue.take(10) == items[3:]
    assert queue.take(10) == []


def test_rows_are_counted_and_not_requests():
    queue = queue_of(waiting(3), waiting(3))
    assert [len(queue.take(10)), len(queue.take(10))] == [1, 1]


def test_only_one_shape_is_in_a_batch_and_the_shape_that_waited_longest_comes_first():
    wide, tall = (2, 4, 1), (4, 2, 1)
    items = [waiting(1, wide, 1.0), waiting(1, tall, 2.0), waiting(1, wide, 3.0)]
    queue = queue_of(*items)
    assert queue.take(10) == [items[0], items[2]]
    assert queue.take(10) == [items[1]]


def test_a_batch_has_no_more_pixels_than_allowed_unless_it_is_one_image():
    limits = BatchLimits(rows=10, pixels=8, delay_s=0.0, waiting=10)
    small = queue_of(*[waiting(1) for _ in range(3)], limits=limits)
    assert [len(small.take(10)), len(small.take(10))] == [2, 1]
    large = queue_of(*[waiting(1, (5, 5, 1)) for _ in range(2)], limits=limits)
    assert [len(large.take(10)), len(large.take(10))] == [1, 1]


def test_a_share_may_be_less_than_a_batch():
    queue = queue_of(*[waiting(1) for _ in range(4)])
    assert len(queue.take(3)) == 3


def test_a_request_of_more_rows_than_a_batch_goes_alone():
    queue = queue_of(waiting(9), waiting(1))
    assert [len(item.images) for item in queue.take(10)] == [9]


def test_a_full_queue_refuses_and_keeps_what_it_has():
    queue = queue_of(waiting(6), waiting(4))
    with pytest.raises(BusyError, match="at most 10 images may wait for this network; 10 do"):
        queue.put(waiting(1))
    assert queue.rows == 10


def test_more_rows_than_may_ever_wait_are_too_large_and_not_too_early():
    with pytest.raises(TooLargeError, match="at most 10 images may wait for a network; 11 came at once"):
        queue_of(waiting(11))


def test_what_is_dropped_leaves_room_and_is_dropped_once():
    first, second = waiting(6), waiting(4)
    queue = queue_of(first, second)
    assert queue.drop(first) and not queue.drop(first)
    assert queue.rows == 4
    assert queue.take(10) == [second]
    assert not queue.drop(second)


def test_a_whole_batch_waits_once_one_shape_has_the_rows():
    queue = queue_of(waiting(2), waiting(2, (4, 2, 1)))
    assert not queue.full_batch()
    queue.put(waiting(2))
    assert queue.full_batch()


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from([(2, 2, 1), (3, 2, 1)]), st.booleans()), max_size=12))
def test_whatever_comes_and_goes_every_row_is_taken_once(requests):
    queue = BatchQueue(BatchLimits(rows=4, pixels=20, delay_s=0.0, waiting=1000))
    items = [waiting(rows, shape, float(i)) for i, (rows, shape, _) in enumerate(requests)]
    for item in items:
        queue.put(item)
    kept = [item for item, (_, _, stays) in zip(items, requests, strict=True) if stays or not queue.drop(item)]
    taken = []
    while batch := queue.take(4):
        assert len({item.images.shape[1:] for item in batch}) == 1
        assert len(batch) == 1 or sum(len(item.images) for item in batch) <= 4
        taken += batch
    assert sorted(map(id, taken)) == sorted(map(id, kept))
    assert queue.rows == 0 and not queue
