import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scs.matching.scoring.blocks import cut, plan_blocks

LENGTHS = st.integers(1, 3000)


@settings(max_examples=200, deadline=None)
@given(places=st.tuples(LENGTHS, LENGTHS), most=st.tuples(st.integers(50, 700), st.integers(50, 700)))
def test_every_place_is_in_one_block(places, most):
    covered = np.zeros(places, np.int8)
    for block in cut(places, most):
        assert 1 <= block.rows <= most[0]
        assert 1 <= block.columns <= most[1]
        covered[block.row : block.row + block.rows, block.column : block.column + block.columns] += 1
    assert (covered == 1).all()


@settings(max_examples=100, deadline=None)
@given(places=st.tuples(LENGTHS, LENGTHS), template=st.tuples(LENGTHS, LENGTHS), threads=st.integers(1, 8))
def test_a_transform_holds_a_block_and_the_patches_that_reach_over_its_end(places, template, threads):
    size, blocks = plan_blocks(places, template, threads)
    assert size[0] == 1 or size[0] % 2 == 0
    assert size[1] % 2 == 0
    for block in blocks:
        assert block.rows + template[0] - 1 <= size[0]
        assert block.columns + template[1] - 1 <= size[1]


def test_large_scenes_are_cut_for_every_thread():
    for threads in (1, 2, 4):
        assert len(plan_blocks((1017, 1857), (64, 64), threads)[1]) >= threads
