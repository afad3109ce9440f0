"""Every kind of input is listed picture by picture, and read as it was put in."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from scs.errors import ImageError, OptionError
from service.map.inputs.find import find
from service.map.inputs.read import read
from service.map.listed import Listed, read_list, write_list


def listed(*inputs: object, names: bytes = b"", leave_out: Path = Path("/nowhere")) -> list[Listed]:
    return list(find([str(each) for each in inputs], io.BytesIO(names), leave_out))


def contents(*inputs: object, **options) -> dict[str, bytes]:
    return {each.name: read(each).content for each in listed(*inputs, **options)}


@pytest.fixture
def files(tmp_path) -> dict[str, bytes]:
    """Names and contents of pictures, as far as their names say."""
    return {"b.jpg": b"\xff\xd8\xff b", "sub/a.png": b"a", "sub/c\nd.webp": b"c"}


@pytest.fixture
def folder(tmp_path, files) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name, content in files.items():
        (tmp_path / "in" / name).write_bytes(content)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path / "in"


@pytest.fixture
def archive(tmp_path, files) -> Path:
    path = tmp_path / "shard-0.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in [*files.items(), ("sub/a.cls", b"7"), (".hidden.png", b"")]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_a_folder_has_its_pictures_and_archives_at_any_depth(folder, archive, files):
    (folder / "sub" / "shard.tar").write_bytes(archive.read_bytes())
    here = {f"{folder}/{name}": content for name, content in files.items()}
    inside = {f"{folder}/sub/shard.tar/{name}": content for name, content in files.items()}
    assert contents(folder) == here | inside
    assert contents(folder, leave_out=folder / "sub") == {f"{folder}/b.jpg": files["b.jpg"]}


def test_a_glob_that_no_shell_has_expanded_is_expanded(folder, files):
    assert contents(folder / "**" / "*.png") == {f"{folder}/sub/a.png": b"a"}
    assert contents(folder / "su?") == {f"{folder}/{name}": files[name] for name in list(files)[1:]}
    with pytest.raises(OptionError, match=r"there is no file or folder '.*\*\.gif'"):
        listed(folder / "*.gif")


def test_a_glob_passes_over_folders_without_pictures_unless_there_is_nothing_else(folder, files):
    (folder / "empty.png").mkdir()
    assert contents(folder / "*g") == {f"{folder}/b.jpg": files["b.jpg"]}
    with pytest.raises(OptionError, match=r"what '.*empty\*' finds has no pictures in it"):
        listed(folder / "empty*")
    with pytest.raises(OptionError, match=r"the folder .*empty\.png has no pictures in it"):
        listed(folder / "empty.png")


def test_a_file_with_the_letters_of_a_glob_in_its_name_is_itself(tmp_path):
    (tmp_path / "a[1].png").write_bytes(b"1")
    assert contents(tmp_path / "a[1].png") == {f"{tmp_path}/a[1].png": b"1"}


def test_names_on_standard_input_are_lines_or_end_with_zero_bytes(folder, files):
    first, second, third = (f"{folder}/{name}" for name in files)
    assert list(contents("-", names=f"{first}\n\n{second}".encode())) == [first, second]
    assert list(contents("-", names=f"{first}\0{third}\0".encode())) == [first, third]
    assert list(contents("-", names=f"{first}\r\n{second}\r\n".encode())) == [first, second]
    assert list(contents("-", names=b"\n".join([second.encode()] * 5000))) == [second]
    assert len(listed("-", names=b"\n".join([second.encode()] * 5000))) == 5000


def test_a_name_that_is_not_unicode_is_written_out_and_read(tmp_path):
    path = bytes(tmp_path) + b"/bad\xff.png"
    with open(path, "wb") as file:
        file.write(b"x")
    assert contents(tmp_path) == contents("-", names=path) == {f"{tmp_path}/bad\\xff.png": b"x"}


def test_what_is_listed_and_is_not_there_fails_when_it_is_read(folder):
    (missing,) = listed("-", names=f"{folder}/gone.png".encode())
    with pytest.raises(FileNotFoundError):
        read(missing)


def test_a_link_in_a_folder_that_leads_nowhere_is_not_passed_over(folder, files):
    (folder / "gone.png").symlink_to(folder / "elsewhere.png")
    (folder / "gone.tar").symlink_to(folder / "elsewhere.tar")
    (folder / "round.jpg").symlink_to(folder / "round.jpg")
    lost = ["gone.png", "gone.tar", "round.jpg"]
    found = {each.name: each for each in listed(folder)}
    assert set(found) == {f"{folder}/{name}" for name in (*files, *lost)}
    for name in lost:
        with pytest.raises(OSError):
            read(found[f"{folder}/{name}"])


def test_what_is_listed_and_is_no_file_fails_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(ImageError, match="a file was needed but this is a folder, a pipe or a device"):
            read(listed(path)[0])


def test_links_in_a_tar_are_not_lost_but_fail_by_what_they_are(archive):
    with tarfile.open(archive, "a") as tar:
        for name, kind in (("again.png", tarfile.LNKTYPE), ("soft.png", tarfile.SYMTYPE), ("d.png", tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "sub/a.png"
            tar.addfile(member)
    *_, hard, soft = listed(archive)
    assert (hard.name, soft.name) == (f"{archive}/again.png", f"{archive}/soft.png")
    assert hard.error == soft.error == "the archive has a link to sub/a.png in its place, which is not followed"


def test_two_pictures_of_one_name_in_a_tar_are_two(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for content in (b"1", b"2"):
            member = tarfile.TarInfo("same.png")
            member.size = 1
            tar.addfile(member, io.BytesIO(content))
    assert [read(each).content for each in listed(tmp_path / "x.tar")] == [b"1", b"2"]


def test_a_tar_has_its_pictures(archive, files):
    assert contents(archive) == {f"{archive}/{name}": content for name, content in files.items()}


@pytest.mark.parametrize("left", [700, 1600, 2048])
def test_a_tar_that_is_cut_off_has_what_is_left_of_it_and_says_so(archive, left):
    archive.write_bytes(archive.read_bytes()[:left])
    *whole, last = listed(archive)
    assert last.error == "the archive ends early: what follows here is lost"
    assert [each.name for each in whole][:1] == [f"{archive}/b.jpg"]
    assert read(whole[0]).content == b"\xff\xd8\xff b"


def test_a_tar_that_is_cut_within_a_picture_fails_there(archive):
    archive.write_bytes(archive.read_bytes()[:514])
    with pytest.raises(ImageError, match="5 bytes were needed but the archive ends after 2 of them"):
        read(listed(archive)[0])


def test_a_tar_that_is_compressed_or_none_is_refused(archive, tmp_path):
    compressed = tmp_path / "x.tar"
    with tarfile.open(compressed, "w:gz") as tar:
        tar.add(archive)
    for name in ("x.tar", "x.tar.gz", "X.TGZ"):
        compressed = compressed.rename(tmp_path / name)
        with pytest.raises(OptionError, match=f"{name} needs to be a tar archive that is not compressed"):
            listed(compressed)


@pytest.mark.parametrize("kind", ["bytes", "struct"])
def test_a_parquet_file_has_a_picture_a_row(tmp_path, kind):
    pictures = [bytes([number]) for number in range(25)]
    values = pictures if kind == "bytes" else [{"bytes": each, "path": None} for each in pictures]
    pq.write_table(pa.table({"image": values, "label": range(25)}), tmp_path / "x.parquet", row_group_size=10)
    found = contents(tmp_path / "x.parquet")
    assert found == {f"{tmp_path}/x.parquet[{number}]": each for number, each in enumerate(pictures)}


def test_a_parquet_file_without_pictures_is_refused_and_a_row_without_one_fails(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"label": [1]}), path)
    with pytest.raises(OptionError, match="needs one column of pictures, or one that is called image; there are none"):
        listed(path)
    pq.write_table(pa.table({"a": [b"1"], "b": [b"2"]}), path)
    with pytest.raises(OptionError, match="there are a, b"):
        listed(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(OptionError, match="needs to be a whole Parquet file"):
        listed(path)
    pq.write_table(pa.table({"image": pa.array([None], pa.binary())}), tmp_path / "empty.parquet")
    with pytest.raises(ImageError, match="the row has none"):
        read(listed(tmp_path / "empty.parquet")[0])


@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_array_has_a_picture_a_number(tmp_path, version):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3), np.uint8)
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=pictures, chunks=(2, 8, 9, 3), zarr_format=version)
    found = [read(each) for each in listed(path)]
    assert all(each.is_npy for each in found)
    assert (np.stack([np.load(io.BytesIO(each.content)) for each in found]) == pictures).all()


def test_a_zarr_of_something_else_is_refused(tmp_path):
    group = zarr.open_group(tmp_path / "x.zarr", mode="w")
    group.create_array("floats", data=np.zeros((2, 3, 4)))
    with pytest.raises(OptionError, match="needs to be an array of pictures; a group came: name an array in it"):
        listed(tmp_path / "x.zarr")
    with pytest.raises(OptionError, match=r"of uint8, C 1 or 3; \(2, 3, 4\) of float64 came"):
        listed(tmp_path / "x.zarr" / "floats")


def test_a_list_is_read_from_anywhere_in_it(tmp_path):
    pictures = [Listed(str(number), "file", b"%d" % number) for number in range(20_000)]
    assert write_list(tmp_path / "list", iter(pictures)) == 20_000
    for numbers in (range(0, 3), range(8190, 8200), range(19_990, 20_000), range(16_384, 16_384)):
        assert list(read_list(tmp_path / "list", numbers)) == [(number, pictures[number]) for number in numbers]
