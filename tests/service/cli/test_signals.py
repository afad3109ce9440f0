"""Signals out of WAV and CSV files, as the command line reads them."""

import io

import numpy as np
import pytest
import soundfile

from scs.errors import ImageError
from service.cli.match_files import read_match_file

SAMPLES = np.array([0.0, 0.5, -0.5, -1.0, 0.25, 0.0])


def samples_of(path):
    file = read_match_file(path).file
    assert file.is_npy and file.name == path.name
    return np.load(io.BytesIO(file.content))


@pytest.mark.parametrize("kind", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_samples_of_a_wav_file_are_shares_of_full_scale(tmp_path, container, kind):
    path = tmp_path / "sound.WAV"
    soundfile.write(path, SAMPLES, 44100, kind, format=container)
    assert np.array_equal(samples_of(path), SAMPLES)
    assert read_match_file(path).rate == 44100


def test_two_channels_are_one_row_of_two(tmp_path):
    both = np.stack([SAMPLES, -SAMPLES / 2], axis=1)
    for name in ("stereo.wav", "stereo.flac"):
        soundfile.write(tmp_path / name, both, 8000)
        assert np.array_equal(samples_of(tmp_path / name), both[None])


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


def test_sound_that_is_damaged_or_of_another_kind_is_refused(tmp_path):
    noise = np.random.default_rng(0).uniform(-1, 1, 2000)
    content = {}
    for name, samples in (("sound.wav", noise), ("sound.flac", noise), ("none.wav", noise[:0])):
        soundfile.write(tmp_path / name, samples, 8000)
        content[name] = (tmp_path / name).read_bytes()
    for name, damaged, said in (
        ("sound.wav", b"", "a WAV file was needed but it is damaged or of another kind: Format not recognised."),
        ("sound.wav", b"hello, this is text", "Format not recognised."),
        ("sound.wav", content["sound.wav"][:-4], "its header promises 4044 bytes but 4040 came"),
        (
            "sound.flac",
            content["sound.flac"][:-1000],
            "a FLAC file was needed but it is damaged or of another kind: .+",
        ),
        ("none.wav", content["none.wav"], "a WAV file with samples was needed but there are none in it"),
    ):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(ImageError, match=f"^{name}: .*{said}"):
            read_match_file(tmp_path / name)
