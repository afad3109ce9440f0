"""The API key: whether the one that came is the one that was set."""

from __future__ import annotations

import hmac

from pydantic import SecretStr


def is_allowed(given: str | None, expected: SecretStr | str) -> bool:
    """Compare two keys in a time that does not depend on where they differ."""
    if given is None:
        return False
    wanted = expected.get_secret_value() if isinstance(expected, SecretStr) else expected
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass"))
