"""The control groups of this process (cgroups, version 1 and 2), by which a container is limited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def control_groups(controller: str, root: Path = Path("/")) -> Iterator[Path]:
    """Yield the folders of the groups that limit this process, those that are above its own included.

    Args:
        controller: what they limit, ``cpu`` or ``memory``; files in the folders have the limits.
        root: folder that ``proc`` and the mounted groups lie in.

    Raises:
        OSError, ValueError: another system, or a ``/proc`` of another kind.
    """
    paths = _paths(controller, root)
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        seen_from, mounted = (_unescaped(part) for part in left.split()[3:5])
        kind, _, options = right.split(maxsplit=2)
        is_ours = kind == "cgroup2" or (kind == "cgroup" and controller in options.split()[-1].split(","))
        if not is_ours or kind not in paths:
            continue
        top, own = root / mounted.lstrip("/"), PurePosixPath(paths[kind])
        # Without a namespace of its own, a container sees its group mounted, and reads a path from the host's root.
        below = own.relative_to(seen_from) if own.is_relative_to(seen_from) else PurePosixPath()
        yield top
        for part in range(len(below.parts)):
            yield top.joinpath(*below.parts[: part + 1])


def _paths(controller: str, root: Path) -> dict[str, str]:
    """Return the path of this process's group in each hierarchy, by the type of file system that shows it."""
    paths = {}
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            paths["cgroup2"] = path
        elif controller in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _unescaped(text: str) -> str:
    return text.replace("\\040", " ")
