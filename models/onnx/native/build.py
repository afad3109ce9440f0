"""Build the native library: ``python models/onnx/native/build.py``.

It needs a C++ compiler that knows C++17, GCC or Clang.

One library holds the loops, from ``scs/native/``, and what makes custom ops of ONNX Runtime of them, from this folder.
The loops are compiled once for each instruction set, and the library takes the best that the processor has: one file
runs on every processor of its kind. Nothing but Python's standard library is imported, so that any Python can build.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
LOOPS = ROOT / "scs" / "native"
LIBRARY = HERE / "libscs.so"
COMPILERS = "c++", "g++", "clang++"
# Without the last two, which let square roots not set errno and operations not trap, no loop would be vectorised.
FAST = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
FLAGS = ["-std=c++17", *FAST, "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", f"-I{ROOT}"]
CHECKS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
X86_64_LEVELS = "v4", "v3"


class BuildError(Exception):
    """The library could not be built; the message says why, in one line."""


def compiler() -> list[str]:
    """Return the command of the C++ compiler: ``CXX`` where it is set, else the first of ``COMPILERS`` that is there.

    Raises:
        BuildError: there is none.
    """
    named = shlex.split(os.environ.get("CXX", ""))
    for command in [named] if named else [[name] for name in COMPILERS]:
        if shutil.which(command[0]):
            return command
    raise BuildError(f"a C++ compiler is needed, such as g++; there is no {' or '.join(named[:1] or COMPILERS)}")


def build(to: Path = LIBRARY, checked: bool = False) -> None:
    """Compile the sources and replace the library atomically: who loads it meanwhile finds the old one or the new.

    Args:
        to: the library.
        checked: whether each access of memory and each operation is checked as it is done, which is slow; who loads it
            needs ``LD_PRELOAD`` to name :func:`sanitizers`.

    Raises:
        BuildError: there is no compiler, or it fails; the message is its first complaint.
    """
    command = compiler()
    is_x86_64 = platform.machine().lower() in ("x86_64", "amd64")
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".build-") as folder:
        jobs = []
        if is_x86_64:
            wide = ["-mprefer-vector-width=512"]
            jobs += [(LOOPS / "kernels.cpp", f"x86_64_{v}", [f"-march=x86-64-{v}", *wide]) for v in X86_64_LEVELS]
        jobs += [
            (LOOPS / "kernels.cpp", "baseline", []),
            (LOOPS / "library.cpp", "", ["-DSCS_X86_64"] if is_x86_64 else []),
            (HERE / "ops.cpp", "", []),
        ]
        running = []
        for source, level, flags in jobs:
            made = Path(folder, f"{source.stem}-{level}.o")
            naming = [f"-DSCS_LEVEL={level}"] if level else []
            arguments = [
                *command,
                *FLAGS,
                *flags,
                *naming,
                *(CHECKS if checked else []),
                "-c",
                str(source),
                "-o",
                str(made),
            ]
            running.append((made, subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)))
        said = [each.communicate()[0].decode(errors="replace") for _, each in running]
        for (_, each), words in zip(running, said, strict=True):
            sys.stderr.write(words)
            if each.returncode:
                raise BuildError(f"{command[0]} failed: {_complaint(words)}")
        made = Path(folder, to.name)
        link = [*command, "-shared", *(str(part) for part, _ in running), "-o", str(made), "-pthread"]
        link += CHECKS if checked else []
        linked = subprocess.run(link, capture_output=True, text=True)
        if linked.returncode:
            raise BuildError(f"{command[0]} failed to link: {_complaint(linked.stderr)}")
        made.replace(to)


def sanitizers() -> list[Path]:
    """List the libraries that a checked build needs loaded before all others, none where the compiler has none."""
    # The address sanitizer takes exceptions over from the C++ library, which has to be there by then.
    found = []
    for name in ("libasan.so", "libstdc++.so.6"):
        said = subprocess.run([*compiler(), f"-print-file-name={name}"], capture_output=True, text=True)
        found.append(Path(said.stdout.strip()))
    return [path.resolve() for path in found] if all(path.is_absolute() and path.exists() for path in found) else []


def is_current(library: Path = LIBRARY) -> bool:
    """Return whether the library is there and no source is newer."""
    sources = [path for folder in (HERE, LOOPS) for path in folder.iterdir() if path.suffix in (".cpp", ".h")]
    newest = max(path.stat().st_mtime for path in [*sources, Path(__file__)])
    return library.exists() and library.stat().st_mtime >= newest


def main() -> int:
    """Build the library unless it is current."""
    parser = argparse.ArgumentParser(description="Build the native kernels, unless they are newer than their sources.")
    parser.add_argument("--if-possible", action="store_true", help="succeed without them, too, and say so in one line")
    wish = parser.parse_args()
    if is_current():
        return 0
    print("building the native kernels", file=sys.stderr)
    try:
        build()
    except (BuildError, OSError) as error:
        print(f"no native kernels: {error}", file=sys.stderr)
        return 0 if wish.if_possible else 1
    return 0


def _complaint(words: str) -> str:
    lines = words.strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else "it said nothing")[:300]


if __name__ == "__main__":
    raise SystemExit(main())
