"""A picture taken by the camera, which is Chromium's own pattern in place of a person."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `test`").expect


def test_a_picture_is_taken_by_the_camera(page):
    page.get_by_role("button", name="Camera", exact=True).click()
    dialog = page.get_by_role("dialog", name="Take a picture")
    page.wait_for_function("document.querySelector('scs-camera video').videoWidth > 0")
    dialog.get_by_role("button", name="Take it", exact=True).click()
    expect(dialog).not_to_be_visible()
    expect(page.locator(".surface img")).to_have_attribute("alt", re.compile("The picture camera.jpg, "))
    expect(page.locator(".bar")).to_have_count(5)
    assert page.evaluate("document.querySelector('scs-camera video').srcObject") is None, "the camera is let go"
