"""Security headers of HTML pages: a content security policy (CSP) and a referrer policy."""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class PageHeaders:
    """ASGI middleware that adds ``Content-Security-Policy`` and ``Referrer-Policy`` to the answers that are HTML.

    Scripts are those that lie on the service itself and, by their digests, those that stand in the page as it was
    sent: what gets into it afterwards does not run.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and hold the head of a page until its body is known."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        held: Message | None = None

        async def guarded(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_page(message):
                held = message
                return
            if held is not None:
                headers = MutableHeaders(raw=held["headers"])
                if "content-security-policy" not in headers:  # a page may have a stricter one
                    headers["content-security-policy"] = _policy(message.get("body", b""))
                headers["referrer-policy"] = "no-referrer"
                await send(held)
                held = None
            await send(message)

        await self.app(scope, receive, guarded)


def _is_page(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/html") for name, value in start["headers"])


def _policy(page: bytes) -> str:
    inline = ["'sha256-" + base64.b64encode(hashlib.sha256(each).digest()).decode() + "'" for each in _scripts(page)]
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *inline)),
            "style-src 'self'",
            "img-src 'self' data: blob:",  # its icons, and the pictures of answers
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _scripts(page: bytes) -> list[bytes]:
    # A browser reads the ends of lines as \n before it takes the digest.
    return _INLINE.findall(page.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
