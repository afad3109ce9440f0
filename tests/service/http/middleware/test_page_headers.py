"""Pages run what the service sent, and nothing else."""

import base64
import hashlib
import re
import shutil
import subprocess

import pytest

from service.app import create_app

PAGES = ["/docs", "/docs/oauth2-redirect"]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def policy(answer):
    """Sources by directive."""
    directives = answer.headers["content-security-policy"].split("; ")
    return {name: sources for name, *sources in (directive.split(" ") for directive in directives)}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_framed_by_nobody_and_tells_nobody_where_it_was(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert policy(answer)["frame-ancestors"] == ["'none'"]
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PAGES)
def test_the_scripts_of_a_page_are_those_that_it_was_sent_with(client, path):
    answer = client.get(path)
    inline = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert inline
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inline]
    assert policy(answer)["script-src"] == ["'self'", *(f"'sha256-{digest}'" for digest in digests)]
    assert not re.search(r"<[^>]+\son\w+\s*=", answer.text), "scripts in attributes have no digest"


@pytest.mark.parametrize("path", PAGES)
def test_the_parts_of_a_page_come_from_the_service_alone(client, path):
    allowed = policy(client.get(path))
    assert allowed.pop("default-src") == ["'none'"]
    allowed.pop("script-src")
    sources = {source for each in allowed.values() for source in each}
    assert sources == {"'none'", "'self'", "data:", "blob:"}


@pytest.mark.parametrize("path", ["/openapi.json", "/models", "/nowhere", "/static-offline-docs/swagger-ui.css"])
def test_what_is_no_page_has_no_policy(client, path):
    assert "content-security-policy" not in client.get(path).headers


@pytest.mark.skipif(BROWSER is None, reason="needs chromium or google-chrome")
def test_a_browser_shows_the_documentation_under_its_policy(settings, serve_app, tmp_path):
    with serve_app(create_app(settings)) as url:
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
        options = ["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"]
        shown = subprocess.run([*command, *options, f"{url}/docs"], capture_output=True, text=True, timeout=120)
    assert 'data-path="/predict"' in shown.stdout
    assert "Content Security Policy" not in shown.stderr
