"""`xtreme-dag gc`: remove what no study refers to any more."""

from __future__ import annotations

import shutil

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import try_lock, unlock
from xtreme_dag.engine.ledger import Ledger
from xtreme_dag.engine.store import Store
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@answers
@home_option
def command(dry_run: bool, home: Home) -> Answer:
    """Remove what no study's last run refers to: old records, their artifacts, abandoned work.

    \b
    Example: xtreme-dag gc --dry-run
    """
    store = Store(home.store)
    records, artifacts = store.unreferenced(Ledger(home.ledger).live_keys())
    work = sorted(path for path in home.work.glob("*") if _abandoned(store, path.name)) if home.work.is_dir() else []
    size = sum(bytes_ for _digest, bytes_ in artifacts)
    if not dry_run:
        try:
            for record in records:
                store.forget(record.key)
            for digest, _bytes in artifacts:
                store.remove_artifact(digest)
            for path in work:
                shutil.rmtree(path, ignore_errors=True)
        except OSError as error:
            raise UserError(f"cannot be removed ({error.strerror})", where=str(error.filename)) from None
    counts = {"records": len(records), "artifacts": len(artifacts), "bytes": size, "work": len(work)}
    return Answer(
        value={**counts, "removed": not dry_run},
        text=[
            f"{'would remove' if dry_run else 'removed'} {len(records)} records, "
            f"{len(artifacts)} artifacts ({size / 1e6:.1f} MB), {len(work)} abandoned work folders",
            *(f"  {record.manifest['name']}  {record.key[:12]}" for record in records if dry_run),
        ],
    )


def _abandoned(store: Store, key: str) -> bool:
    """A work folder whose key nobody holds: a killed stage that no study will resume, or one that will start over."""
    handle = try_lock(store.lock_path(key), "gc")
    if handle is None:
        return False
    unlock(handle)
    return True
