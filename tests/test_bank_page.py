"""What docs/bank.md says is so: its commands run as pasted."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
(COMMANDS,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "bank.md").read_text(), re.DOTALL)


@pytest.mark.slow
def test_the_commands_write_a_bank_that_names_the_eye_and_shows_its_map(tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    shell = f'set -e; scs() {{ "{sys.executable}" -m service.cli "$@"; }}\n{COMMANDS}'
    done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"cat\.jpg.*eye", done.stdout)
    assert (tmp_path / "my-models" / "eyes" / "1" / "card.json").exists()
    assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")
