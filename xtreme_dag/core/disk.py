"""Error messages for a full disk, and for a file that cannot be read or written."""

from __future__ import annotations

import errno
import os

from xtreme_dag.core.errors import UserError


def is_full(error: BaseException) -> bool:
    """Whether the disk was full; libraries in other languages say so in their own kinds of exception."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or os.strerror(errno.ENOSPC) in str(error)


def told_of(error: BaseException) -> UserError | None:
    """What to tell of an error that a disk or a file gave, if one did: a full disk, a folder in a file's place, rights."""
    if not isinstance(error, OSError) and not is_full(error):
        return None
    names = [str(name) for name in (getattr(error, "filename2", None), getattr(error, "filename", None)) if name]
    if is_full(error):
        return full_disk(names[0] if names else "")
    reason = str(getattr(error, "strerror", None) or error)
    return UserError(f"cannot be read or written ({reason})", where=names[0]) if names else None


def full_disk(where: str) -> UserError:
    """What to tell of it.

    Args:
        where: the stage or folder that was written.
    """
    return UserError("no space left on the disk", where=where, fix="free some, or move the home with --home DIR")
