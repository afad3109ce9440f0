"""The explorer on somebody's own network: imported as anybody does, and opened as any other model."""

import os
import subprocess
import sys

import numpy as np
import pytest

from service.client import Client

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `test`").expect

NETWORK = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, 2, 2), nn.ReLU(), nn.Conv2d(6, 9, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, 3)
    )
"""


@pytest.fixture(scope="module")
def address(serve, tmp_path_factory):
    """The service with one model, of a network of torch that nobody has trained."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "net.py").write_text(NETWORK)
    (folder / "labels.txt").write_text("owl\n<b>fox</b>\nhare\n")
    command = [*(sys.executable, "-m", "service.cli", "import", "net.py:make", "--name", "mine", "--size", "64x48")]
    command += [*("--labels", "labels.txt", "--preprocess", "0-1", "--repository", "models")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    with serve(SCS_MODEL_REPOSITORY=str(folder / "models"), SCS_DEFAULT_MODEL="mine") as url:
        yield url


@pytest.mark.slow
def test_an_imported_network_is_opened_like_any_other(page, address, cat):
    page.get_by_role("button", name="Cat", exact=True).click()
    with Client(address) as client:
        said = client.predict(cat)
        seen = client.activations(cat, channels="top1", class_=said.label)
    bars = page.locator(".bar")
    expect(bars).to_have_count(3)
    for number, ranked in enumerate(said.classes):
        expect(bars.nth(number)).to_contain_text(f"{ranked.label}{ranked.probability:.1%}")
    layers = page.locator(".layer strong")
    expect(layers).to_have_text(list(seen))

    first = seen.layers[0]
    page.locator(f'.layer[data-layer="{first.name}"]').click()
    expect(page.locator(".channel canvas").first).to_be_visible()
    expect(page.locator('.channel[aria-pressed="true"]')).to_have_text(str(first.channels[0]))
    bars.first.click()
    assert seen.class_map.exact
    logit = f"{seen.class_map.logit:+.3f}".replace("-", "−")
    expect(page.locator("scs-classes .numbers")).to_contain_text(f"is the logit of {said.label}: {logit}")

    for side, number in (("x", 152), ("y", 112), ("width", 70), ("height", 64)):
        page.get_by_label(side, exact=True).fill(str(number))
    page.get_by_label("height", exact=True).blur()
    page.locator(f'[data-where="{first.name}"]').click()
    expect(page.locator("scs-finds caption")).to_have_text(f"Where the box occurs in {first.name}")
    expect(page.locator("scs-finds tbody tr").first).to_contain_text("your box")
    assert np.isfinite(first.maps).all()
