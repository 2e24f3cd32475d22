"""Text that only installed versions determine, kept in the user's cache folder for all homes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from xtreme_dag.core.files import write_atomically


def kept_text(name: str, make: Callable[[], str]) -> str:
    """What `make` returns, or what it returned before under this name.

    Args:
        name: of the file; has the versions of all that the text depends on.
        make: makes the text.

    Returns:
        The text. A damaged file is made again; where the folder cannot be written (no home directory, a read-only
        one), nothing is kept.
    """
    path = None
    with suppress(OSError, RuntimeError, ValueError):  # no such user; no such file; not UTF-8
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xtreme-dag" / name
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
        if digest == _digest(text):
            return text
    text = make()
    if path is not None:
        with suppress(OSError):
            write_atomically(path, f"{_digest(text)}\n{text}")
    return text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
