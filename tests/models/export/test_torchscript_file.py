"""A TorchScript file holds the code and the weights, and nothing of the machine."""

import io
import zipfile

import pytest

from models.cards.catalogue import find
from models.export import torchscript_file as torchscript_export
from models.networks import FAMILIES


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def content(family, repository):
    """The ONNX file of a family."""
    return find(repository, f"shapes-{family}").verified_bytes()


def test_a_torchscript_file_tells_nothing_of_the_machine_it_was_made_on(repository):
    with zipfile.ZipFile(io.BytesIO(find(repository, "shapes-script").verified_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if "/data/" not in name}
    assert [name for name in members if "/models/export/torchscript_file" in name], (
        "the code itself, under its module's name"
    )
    for trace in (b'.py"', b".py(", b"site-packages", torchscript_export.__file__.encode()):
        assert not [name for name, content in members.items() if trace in content]
