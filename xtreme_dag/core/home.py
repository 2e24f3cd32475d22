"""The home: the one folder in which all state lives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from xtreme_dag.core.errors import UserError

VARIABLE = "XTREME_DAG_HOME"
DEFAULT = ".xtreme-dag"


@dataclass(frozen=True)
class Home:
    """Where everything that the program writes is kept: `store/`, `work/`, `results.duckdb`, `prefect/`."""

    root: Path

    @classmethod
    def find(cls, given: str | Path | None = None) -> Home:
        """The home that `--home`, the environment or the default names, in that order; nothing is created."""
        return cls(Path(given or os.environ.get(VARIABLE) or DEFAULT).absolute())

    @property
    def store(self) -> Path:
        """Artifacts and their records."""
        return self.root / "store"

    @property
    def work(self) -> Path:
        """Unfinished work: output folders and checkpoints of running stages."""
        return self.root / "work"

    @property
    def results(self) -> Path:
        """The DuckDB file."""
        return self.root / "results.duckdb"

    @property
    def landings(self) -> Path:
        """What each study landed, as JSON: with the store, all that `results rebuild` needs."""
        return self.root / "landings"

    @property
    def reports(self) -> Path:
        """HTML reports, one per study."""
        return self.root / "reports"

    @property
    def prefect(self) -> Path:
        """The local Prefect server's database, settings and results."""
        return self.root / "prefect"

    @property
    def logs(self) -> Path:
        """What worker processes and the local server print."""
        return self.root / "logs"

    @property
    def ledger(self) -> Path:
        """The append-only log of runs."""
        return self.root / "ledger.jsonl"

    @property
    def running(self) -> Path:
        """What its processes say of the stages that they run; stale after a minute."""
        return self.root / "running"

    @property
    def caches(self) -> Path:
        """What can be deleted at any time: the digests of raw files by size and modification time."""
        return self.root / "cache"

    def ensure(self) -> Home:
        """Creates the home and proves that it can be written.

        Raises:
            UserError: the folder cannot be created or written.
        """
        try:
            for folder in (self.store, self.work, self.logs, self.caches):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".write-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"cannot be written ({error.strerror})",
                where=f"home {self.root}",
                fix=f"name another with --home DIR or {VARIABLE}",
            ) from None
        return self
