"""An audit that was not made does not pass for one that found nothing."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "audit.py"


@pytest.fixture(scope="module")
def audit():
    specification = importlib.util.spec_from_file_location("audit", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def stand_in(tmp_path):
    """A command in place of pip-audit, which answers for each requirement what ``answer`` makes of it."""

    def making(answer):
        script = tmp_path / "stand_in.py"
        script.write_text(
            "import json, sys\n"
            "path = next(each.partition('=')[2] for each in sys.argv if each.startswith('--requirement='))\n"
            "pins = [line.split('==') for line in open(path, encoding='utf-8').read().split()]\n" + answer
        )
        return [sys.executable, str(script)]

    return making


CLEAN = "print(json.dumps({'dependencies': [{'name': n, 'version': v, 'vulns': []} for n, v in pins]}))"
UNKNOWN = "print(json.dumps({'dependencies': [{'name': n, 'skip_reason': 'not found'} for n, v in pins]}))"
UNREACHABLE = "sys.exit('Traceback ...\\nConnectionError: Failed to resolve')"
WRONG = {"id": "PYSEC-1", "fix_versions": ["9.9"]}
ONE = (
    "packages = [{'name': n, 'version': v, 'vulns': []} for n, v in pins]\n"
    f"packages[0]['vulns'] = [json.loads({json.dumps(WRONG)!r})]\n"
    "{more}"
    "print(json.dumps({{'dependencies': packages}}))\n"
    "sys.exit(1)"
)


def test_nothing_found_is_said_where_everything_was_checked(audit, stand_in, capsys):
    assert audit.main([], stand_in(CLEAN)) == 0
    assert capsys.readouterr().out == "no package has a known advisory\n"


@pytest.mark.parametrize("lenient", [[], ["--let-unchecked-pass"]])
@pytest.mark.parametrize("more", ["", "del packages[5]['vulns']\n"])
def test_an_advisory_fails_the_run_whatever_else_was_not_checked(audit, stand_in, capsys, lenient, more):
    answer = ONE.replace("{more}", more).replace("{{", "{").replace("}}", "}")
    assert audit.main(lenient, stand_in(answer)) == 1
    assert "PYSEC-1, mended in 9.9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "why"),
    [(UNKNOWN, "the source of advisories knew 0 of"), (UNREACHABLE, "ConnectionError: Failed to resolve")],
)
def test_what_could_not_be_checked_is_said_in_one_line_and_passes_only_where_that_is_allowed(
    audit, stand_in, capsys, answer, why
):
    assert audit.main([], stand_in(answer)) == 1
    assert audit.main(["--let-unchecked-pass"], stand_in(answer)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    assert lines[0].startswith(f"advisories were not checked: {why}")


def test_every_pin_is_asked_about_whatever_its_platform(audit, stand_in, tmp_path):
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("# a comment\nnumpy==1.0\ncolorama==0.4.6 ; sys_platform == 'win32'\n")
    wrong = "print(json.dumps({'dependencies': [{'name': n, 'version': v, 'vulns': [{'id': 'X', 'fix_versions': []}]}"
    found, unchecked = audit.audit(stand_in(f"{wrong} for n, v in pins]}}))"), constraints)
    assert found == ["numpy 1.0: X, mended in none", "colorama 0.4.6: X, mended in none"]
    assert unchecked == ""
