import contextlib
import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scs.errors import ProtocolError, TooLargeError
from service.oip.compression import CODINGS, compress, expand


@given(st.binary(max_size=500), st.sampled_from(CODINGS))
def test_what_is_compressed_expands_to_what_it_was(body, coding):
    assert expand(compress(body, coding), coding, len(body)) == body


@given(st.binary(max_size=200), st.sampled_from(CODINGS))
def test_any_bytes_expand_or_are_refused(body, coding):
    with contextlib.suppress(ProtocolError, TooLargeError):
        expand(body, coding, 1000)


def test_deflate_without_its_frame_is_read_too():
    bare = zlib.compressobj(wbits=-15)
    assert expand(bare.compress(b"image" * 100) + bare.flush(), "deflate", 500) == b"image" * 100


@pytest.mark.parametrize("coding", CODINGS)
def test_one_byte_more_than_is_allowed_is_refused(coding):
    assert expand(compress(bytes(1000), coding), coding, 1000) == bytes(1000)
    with pytest.raises(TooLargeError, match="may have 999 bytes; this one expands to more"):
        expand(compress(bytes(1000), coding), coding, 999)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_refused_while_it_expands(coding):
    bomb = compress(bytes(2**28), coding)
    tracemalloc.start()
    with pytest.raises(TooLargeError):
        expand(bomb, coding, 2**20)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**23


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_that_is_cut_off_is_refused(coding):
    with pytest.raises(ProtocolError, match="cut off"):
        expand(compress(bytes(range(256)), coding)[:-5], coding, 1000)
    with pytest.raises(ProtocolError, match="cut off"):
        expand(b"", coding, 1000)


@pytest.mark.parametrize("coding", CODINGS)
def test_what_follows_a_compressed_body_is_refused(coding):
    with pytest.raises(ProtocolError, match="nothing behind it"):
        expand(compress(b"image", coding) + b"more", coding, 1000)
    with pytest.raises(ProtocolError, match="nothing behind it"):
        expand(gzip.compress(b"") + bytes(2**17), "gzip", 1000)


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_not_compressed_is_refused(coding):
    with pytest.raises(ProtocolError, match=coding):
        expand(b'{"inputs": []}', coding, 1000)
