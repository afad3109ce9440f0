"""``GET /``: the explorer's page, and below ``/explorer/`` the files that it consists of."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

from fastapi import APIRouter, HTTPException, Request, Response

from service.http.explorer.files import PAGE, PageFile, read_page_files, with_base

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",  # the picture that was chosen, and the heatmaps of answers
        "connect-src 'self'",
        "base-uri 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",  # no text ever becomes markup or a script
    )
)
_FILES = read_page_files()

router = APIRouter(include_in_schema=False)


@router.get("/")
async def show_explorer(request: Request) -> Response:
    """Return the page; a program that asks for JSON, and not for a page, is told that there is no such route."""
    accept = request.headers.get("accept", "")
    if "json" in accept and "text/html" not in accept:
        raise HTTPException(HTTPStatus.NOT_FOUND, headers={"vary": "Accept"})
    answer = _answer(request, _page(request.scope.get("root_path", "")))
    answer.headers.update({"content-security-policy": _POLICY, "vary": "Accept"})
    return answer


@router.get("/explorer/{path:path}")
async def show_file(request: Request, path: str) -> Response:
    """Return a script, a style sheet or a sample picture of the page."""
    file = _FILES.get(path)
    if file is None or path == PAGE:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return _answer(request, file)


@lru_cache(maxsize=16)  # a prefix may come with a request
def _page(prefix: str) -> PageFile:
    return with_base(_FILES[PAGE], prefix) if prefix else _FILES[PAGE]


def _answer(request: Request, file: PageFile) -> Response:
    """Return a file, or that the browser has it: it asks each time, so that no two versions are mixed."""
    headers = {"etag": file.tag, "cache-control": "no-cache"}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if file.tag in known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, media_type=file.kind, headers=headers)
