"""Ask pip-audit whether the packages in constraints.txt have known advisories, and whether that was answered at all.

By itself pip-audit passes where nothing was checked: a package that its source of advisories does not know is skipped,
and a mirror may know none.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
PIP_AUDIT = (sys.executable, "-m", "pip_audit")
_OPTIONS = ("--format=json", "--desc=off", "--progress-spinner=off", "--no-deps", "--disable-pip")
_LONGEST_S = 300


def audit(command: Sequence[str] = PIP_AUDIT, constraints: Path = CONSTRAINTS) -> tuple[list[str], str]:
    """Run pip-audit over every package of every platform.

    Returns:
        A line for each advisory, and why some or all packages were not checked: empty if all were.
    """
    pins = [line.partition(";")[0].strip() for line in constraints.read_text().splitlines()]
    pins = [pin for pin in pins if pin and not pin.startswith("#")]
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text("\n".join(pins) + "\n")
        try:
            done = subprocess.run(
                [*command, *_OPTIONS, f"--requirement={requirements}"],
                capture_output=True,
                text=True,
                timeout=_LONGEST_S,
            )
        except subprocess.TimeoutExpired:
            return [], f"no answer in {_LONGEST_S} seconds"
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines() or [f"pip-audit ended with status {done.returncode}"]
        return [], said[-1][:300]
    found = [
        f"{package['name']} {package['version']}: {each['id']}, mended in {', '.join(each['fix_versions']) or 'none'}"
        for package in packages
        for each in package.get("vulns", ())
    ]
    checked = sum("vulns" in package for package in packages)
    if checked == len(pins):
        return found, ""
    return found, f"the source of advisories knew {checked} of {len(pins)} packages"


def main(arguments: Sequence[str] | None = None, command: Sequence[str] = PIP_AUDIT) -> int:
    """Say what was found; 0 only where nothing was, and, unless told otherwise, everything was checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--let-unchecked-pass", action="store_true", help="status 0 also where nothing could be asked")
    options = parser.parse_args(arguments)
    found, unchecked = audit(command)
    for line in found:
        print(f"advisory: {line}")
    if unchecked:
        print(f"advisories were not checked: {unchecked}")
    elif not found:
        print("no package has a known advisory")
    return 1 if found or (unchecked and not options.let_unchecked_pass) else 0


if __name__ == "__main__":
    sys.exit(main())
