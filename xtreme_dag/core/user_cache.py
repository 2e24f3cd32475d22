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
    text = kept(name)
    if text is None:
        text = make()
        keep(name, text)
    return text


def kept(name: str) -> str | None:
    """The text that was kept under this name; None if there is none, or a damaged one."""
    with suppress(OSError, RuntimeError, ValueError):  # no such file; no such user; not UTF-8
        digest, _, text = _path(name).read_text(encoding="utf-8").partition("\n")
        return text if digest == _digest(text) else None
    return None


def keep(name: str, text: str) -> None:
    """Keeps a text under a name, if it can be written."""
    with suppress(OSError, RuntimeError):
        write_atomically(_path(name), f"{_digest(text)}\n{text}")


def _path(name: str) -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xtreme-dag" / name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
