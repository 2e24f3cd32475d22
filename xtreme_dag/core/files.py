"""Canonical JSON, its hash, and atomic, durable file writes."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import stat
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError

_COUNTER = itertools.count()
_LARGEST_JSON = 256 << 20  # bytes; a tokenizer of 250,000 words has 17 MB


def canonical(value: Any) -> str:
    """The canonical JSON text of a value: sorted keys, no blanks, no NaN; the same in every process."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_of(value: Any) -> str:
    """sha256 (hexadecimal) of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def read_regular(path: Path, most: int) -> bytes:
    """The content of a file of at most `most` bytes.

    Raises:
        OSError: it cannot be read, is larger, or is no regular file (reading a pipe or a device would not end).
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        number = errno.EISDIR if stat.S_ISDIR(state.st_mode) else errno.EINVAL
        raise OSError(number, os.strerror(number) if number == errno.EISDIR else "not a regular file", str(path))
    content = b""
    with path.open("rb") as file:
        # In pieces of the file's size, since Python reserves all the memory that it is asked to read into.
        while piece := file.read(min(max(state.st_size + 1, 1 << 16), most + 1 - len(content))):
            content += piece
    if len(content) > most:
        raise OSError(None, f"more than {most >> 20} MiB", str(path))
    return content


def read_json(path: Path, *, what: str = "", fix: str = "") -> Any:
    """The value of a JSON file.

    Args:
        path: the file.
        what: what it should be, for messages: a type of `dict` is then required.
        fix: what to do where it is not.

    Raises:
        UserError: it cannot be read, is not JSON, holds half a surrogate pair, or is not a mapping where `what` is named.
    """
    try:
        value = json.loads(read_regular(path, _LARGEST_JSON))
        json.dumps(value, ensure_ascii=False).encode()
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(path), fix=fix) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"is not JSON ({error})", where=str(path), fix=fix) from None
    if what and not isinstance(value, dict):
        raise UserError(f"is not {what}", where=str(path), fix=fix)
    return value


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file so that readers see the old content or the new, never a part; durable when it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{next(_COUNTER)}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Flushes a folder (renames inside it) or a file (its content) to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
