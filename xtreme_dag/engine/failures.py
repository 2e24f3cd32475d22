"""Why a stage failed, in the words of the ledger and of errors."""

from __future__ import annotations

import errno

from xtreme_dag.core.errors import UserError, printable
from xtreme_dag.engine.graph import Stage
from xtreme_dag.engine.pool import StageFailed


def failure_reason(error: UserError | StageFailed, stage: Stage) -> str:
    """Why a stage failed, in a line; its own name is not repeated."""
    if isinstance(error, StageFailed):
        return printable(str(error).splitlines()[0])
    place = "" if error.where in ("", stage.name) else f"{error.where}: "
    return printable(f"{place}{error.what}" + (f" ({error.fix})" if error.fix else ""))


def disk_error(error: OSError, name: str) -> UserError:
    """What the failed write of a stage (its name) means for the user: a full disk, or a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError("no space left on the disk", where=name, fix="free some, or move the home with --home DIR")
    return UserError(f"cannot be written ({error.strerror})", where=str(error.filename), fix=f"needed by {name}")
