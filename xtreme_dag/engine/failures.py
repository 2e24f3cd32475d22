"""Why a stage failed, in the words of the ledger and of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xtreme_dag.core.disk import full_disk, is_full
from xtreme_dag.core.errors import UserError, printable
from xtreme_dag.engine.calls import StageFailed
from xtreme_dag.engine.graph import Stage


def failure_reason(error: UserError | StageFailed, stage: Stage) -> str:
    """Why a stage failed, in a line; its own name is not repeated."""
    if isinstance(error, StageFailed):
        return printable(str(error).splitlines()[0])
    place = "" if error.where in ("", stage.name) else f"{error.where}: "
    return printable(f"{place}{error.what}" + (f" ({error.fix})" if error.fix else ""))


def disk_error(error: OSError, name: str) -> UserError:
    """What the failed write of a stage (its name) means for the user: a full disk, or a file that cannot be written."""
    if is_full(error):
        return full_disk(name)
    what = f"cannot be written ({error.strerror or error})"
    if not error.filename:
        return UserError(what, where=name)
    return UserError(what, where=str(error.filename), fix=f"needed by {name}")


@contextmanager
def disk_errors(name: str) -> Iterator[None]:
    """Lets a block that writes for a stage (its name) fail with `disk_error`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, name) from None
