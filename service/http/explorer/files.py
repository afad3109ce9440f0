"""The files of the explorer's page, read once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

PAGE = "index.html"
_FOLDER = Path(__file__).parent / "page"
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page: its content, content type and entity tag."""

    content: bytes
    kind: str
    tag: str

    @classmethod
    def of(cls, content: bytes, kind: str) -> PageFile:
        """Make the file, with a tag that names its content."""
        return cls(content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def read_page_files() -> dict[str, PageFile]:
    """Read every file that the page consists of, by its path below the page's folder."""
    files = {path.relative_to(_FOLDER).as_posix(): path for path in sorted(_FOLDER.rglob("*")) if path.suffix in _KINDS}
    return {name: PageFile.of(path.read_bytes(), _KINDS[path.suffix]) for name, path in files.items()}


def with_base(page: PageFile, prefix: str) -> PageFile:
    """Return the page with the path that its links start from, for a service that a proxy shows below a prefix.

    Args:
        page: the page.
        prefix: like ``/vision/scs``; of letters, digits, ``.``, ``_``, ``~``, ``-`` and ``/`` alone.
    """
    base = f'<head>\n    <base href="{prefix}/" />'.encode()
    return PageFile.of(page.content.replace(b"<head>", base, 1), page.kind)
