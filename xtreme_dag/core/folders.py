"""Makes a new folder that is either complete or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xtreme_dag.core.errors import UserError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `out` when the block ends well; else nothing is left of it.

    Files have the permissions that the umask gives to new ones, whatever made them private.

    Raises:
        UserError: `out` is a file, or a folder with something in it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("is there already", where=str(out), fix="name a folder that does not exist yet")
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        umask = os.umask(0o077)
        os.umask(umask)
        for path in unfinished.rglob("*"):
            path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        if out.is_dir():
            out.rmdir()
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
