"""A full disk: how it is told from other errors, and what is said of it."""

from __future__ import annotations

import errno
import os

from xtreme_dag.core.errors import UserError


def is_full(error: BaseException) -> bool:
    """Whether the disk was full; libraries in other languages say so in their own kinds of exception."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or os.strerror(errno.ENOSPC) in str(error)


def full_disk(where: str) -> UserError:
    """What to tell of it.

    Args:
        where: the stage or folder that was written.
    """
    return UserError("no space left on the disk", where=where, fix="free some, or move the home with --home DIR")
