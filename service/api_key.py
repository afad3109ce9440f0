"""The check of an API key."""

from __future__ import annotations

import hmac

from pydantic import SecretStr


def is_allowed(given: str | None, expected: SecretStr | str) -> bool:
    """Return whether a key is the expected one, compared in constant time (against timing attacks)."""
    if given is None:
        return False
    wanted = expected.get_secret_value() if isinstance(expected, SecretStr) else expected
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass"))
