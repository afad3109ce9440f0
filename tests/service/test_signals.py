"""Signals out of WAV and CSV files, as the command line reads them."""

import io
import wave

import numpy as np
import pytest

from scs.errors import ImageError
from service.commands.signals import read_match_file

SAMPLES = np.array([0.0, 0.5, -0.5, -1.0, 0.25, 0.0])


def write_wav(path, samples, bits=16, rate=8000):
    samples = np.asarray(samples, float)
    whole = np.rint(samples.ravel() * 2 ** (bits - 1)).astype("<i4")
    if bits == 8:
        data = (whole + 128).astype(np.uint8).tobytes()
    else:
        data = whole.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1] if samples.ndim == 2 else 1, bits // 8, rate, 0, "NONE", ""))
        file.writeframes(data)
    return path


def samples_of(path):
    file = read_match_file(path).file
    assert file.is_npy and file.name == path.name
    return np.load(io.BytesIO(file.content))


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_samples_of_a_wav_file_are_shares_of_full_scale(tmp_path, bits):
    path = write_wav(tmp_path / "sound.WAV", SAMPLES, bits, rate=44100)
    assert np.array_equal(samples_of(path), SAMPLES)
    assert read_match_file(path).rate == 44100


def test_two_channels_are_one_row_of_two(tmp_path):
    both = np.stack([SAMPLES, -SAMPLES / 2], axis=1)
    assert np.array_equal(samples_of(write_wav(tmp_path / "stereo.wav", both)), both[None])


@pytest.mark.parametrize("text", ["1\n2.5\n-3e-1\n", "volts\n1\n2.5\n-.3", "1,2.5,-0.3\n", "\ufeff1\r\n\r\n2.5\r\n-.3"])
def test_a_csv_file_is_a_number_a_line_or_a_line_of_numbers(tmp_path, text):
    path = tmp_path / "series.csv"
    path.write_bytes(text.encode())
    assert samples_of(path).tolist() == [1, 2.5, -0.3]
    assert read_match_file(path).rate is None


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "no numbers"),
        (b"volts\n", "no numbers"),
        (b"1\ntwo\n3\n", "a number a line was needed; could not convert string 'two'"),
        (b"1,2\n3,4\n5,6\n", "it has 3 lines of 2"),
        (b"1\n2,3\n", "the number of columns changed"),
        (b"\xff\xfe1", "not text"),
    ],
)
def test_a_csv_file_that_is_no_signal_is_refused(tmp_path, content, said):
    path = tmp_path / "series.csv"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="^series.csv: .*" + said.replace("a number a line", "one number a line")):
        read_match_file(path)


def test_a_wav_file_that_is_damaged_or_of_another_kind_is_refused(tmp_path):
    path = write_wav(tmp_path / "sound.wav", SAMPLES)
    whole = path.read_bytes()
    floats = whole[:20] + b"\x03\x00" + whole[22:]
    for content, said in (
        (b"", "it ends too early"),
        (b"hello, this is text", "does not start with RIFF"),
        (floats, "unknown format: 3"),
        (whole[:-4], "promises 6 but 4 follow"),
    ):
        path.write_bytes(content)
        with pytest.raises(ImageError, match=f"^sound.wav: a WAV file of whole numbers .*{said}"):
            read_match_file(path)
