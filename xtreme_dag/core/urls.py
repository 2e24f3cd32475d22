"""URLs that may be shown and stored: without a password."""

from __future__ import annotations

import re

# `scheme://[user@]host[:port][/path]`, or a path. Behind the colon of a host there are digits only: keys of S3 have slashes
# in them, and one that was written into a URL must not be taken for a path. Without look-ahead: it is a JSON schema's
# pattern, too.
PLAIN_URL = (
    r"^(?:[a-zA-Z0-9+.-]+://(?:[^/@:]+@)?(?:[^/@:]*|\[[0-9a-fA-F:.]+\])(?::[0-9]*)?(?:/.*)?|[^:]*)$"  # or [IPv6]
)


def has_password(url: str) -> bool:
    """Whether a URL names a password (or is no URL at all)."""
    return re.match(PLAIN_URL, url) is None


def without_password(url: str) -> str:
    """A URL as it may be shown and logged."""
    return re.sub(r"^([a-zA-Z0-9+.-]+://[^/@:]*):.*@", r"\1@", url) if has_password(url) else url
