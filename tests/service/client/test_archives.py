import io
import zipfile

import numpy as np
import pytest

from service.client.archives import BodyWriter, read_archive


def archive(compression=zipfile.ZIP_STORED, answer=b"{}", **arrays):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w") as member:
                np.save(member, array)
        if answer is not None:
            file.writestr("answer.json", answer)
    return buffer.getvalue()


def body_of(content, piece):
    writer = BodyWriter()
    for start in range(0, len(content), piece):
        writer.write(content[start : start + piece])
    return writer.body()


@pytest.mark.parametrize("in_memory", [0, 100, 2**24])
def test_arrays_are_views_of_the_body_wherever_it_lies(monkeypatch, in_memory):
    monkeypatch.setattr("service.client.archives._IN_MEMORY", in_memory)
    wanted = {
        "block1": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "none": np.zeros((0, 5)),
        "one": np.array(1.5),
    }
    answer, arrays = read_archive(body_of(archive(answer=b'{"a": 1}', **wanted), 50))
    assert answer == b'{"a": 1}' and arrays.keys() == wanted.keys()
    for name, array in arrays.items():
        assert np.array_equal(array, wanted[name]) and array.dtype == wanted[name].dtype
        assert not array.flags.owndata and not array.flags.writeable


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        archive(answer=None, a=np.eye(2)),
        archive(zipfile.ZIP_DEFLATED, a=np.eye(2)),
        archive(a=np.eye(2)).replace(b"'<f8'", b"'|O8'"),
        archive(a=np.eye(2)).replace(b"(2, 2)", b"(9, 9)"),
    ],
)
def test_what_is_no_archive_of_arrays_is_an_error(content):
    with pytest.raises(ValueError):
        read_archive(content)
