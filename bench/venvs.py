"""Virtual environments of the peers, made when first needed, since their pins need not fit ours."""

import json
import subprocess
import sys

REQUIREMENTS = {  # each at the newest version of November 2026, ONNX Runtime and Pillow as ours
    "litserve": ["litserve==0.2.19"],
    "mlserver": ["mlserver==1.7.1"],
    "bentoml": ["bentoml==1.4.39"],
}
COMMON = ["onnxruntime==1.31.1", "pillow==13.0.0", "numpy==2.4.6"]
VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""
SHOWN = ("onnxruntime", "pillow", "numpy", "fastapi", "starlette", "uvicorn")


class InstallError(Exception):
    """What kept a peer from being installed."""


def venv(folder, peer):
    """The folder of a peer's programs, installed unless they are there.

    Raises:
        InstallError: pip's last line.
    """
    home = folder / peer
    wanted = "\n".join([*REQUIREMENTS[peer], *COMMON])
    stamp = home / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {' '.join(REQUIREMENTS[peer])} into {home}", file=sys.stderr, flush=True)
        for command in (
            [sys.executable, "-m", "venv", home],
            [home / "bin" / "pip", "install", "-q", "--disable-pip-version-check", *REQUIREMENTS[peer], *COMMON],
        ):
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if line.strip()]
                raise InstallError(lines[-1][:300] if lines else f"status {done.returncode}")
        stamp.write_text(wanted)
    return home / "bin"


def versions(python, *names):
    """Versions of the packages that matter to speed, as a Python has them."""
    found = {}
    for name in (*names, *SHOWN):
        done = subprocess.run([str(python), "-c", VERSIONS, name], capture_output=True, text=True)
        if done.returncode == 0:
            found.update(json.loads(done.stdout))
    return found
