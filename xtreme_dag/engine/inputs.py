"""What stages read: digests for their keys, places on the disk, and whether the bytes are still those of the records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.digests import FileDigests
from xtreme_dag.engine.graph import Output, Source, Stage
from xtreme_dag.engine.reads import DamagedInput, Reads
from xtreme_dag.engine.store import Record, Store


class Inputs:
    """Finds the inputs of stages. `parents` says for each stage that one needs (by name) under which key it is.

    Args:
        store: of the artifacts.
        reads: what is known of their bytes.
        sources: what is known of raw files.
        record: the record of a key.
    """

    def __init__(
        self, store: Store, reads: Reads, sources: FileDigests, record: Callable[[str], Record | None]
    ) -> None:
        self._store, self._reads, self._sources, self._record = store, reads, sources, record

    def record(self, source: Output, parents: Mapping[str, str]) -> Record:
        """The record of the artifact that an input is of.

        Raises:
            UserError: it is gone.
        """
        record = self._record(parents[source.stage])
        if record is None:
            raise UserError("its record is gone", where=source.stage, fix="run again")
        return record

    def path(self, source: Source | Output, parents: Mapping[str, str]) -> Path:
        """Where an input lies."""
        if isinstance(source, Output):
            folder = self._store.artifact(self.record(source, parents).digest)
            return folder / source.part if source.part else folder
        return Path(source.path)

    def digests(self, stage: Stage, parents: Mapping[str, str]) -> dict[str, str]:
        """Digest of each input.

        Raises:
            UserError: the artifact that it is of has no such part.
        """
        found = {}
        for name, source in stage.inputs.items():
            if isinstance(source, Output):
                record = self.record(source, parents)
                digest = record.part_digest(source.part)
                if digest is None:
                    raise UserError(f"has no {source.part!r}", where=source.stage, fix=f"{stage.name} needs it")
                found[name] = digest
            else:
                found[name] = self._sources.digest(source.path)
        return found

    def check(self, stage: Stage, digests: Mapping[str, str], parents: Mapping[str, str]) -> dict[str, float]:
        """Hashes what a stage reads, as far as its state is not known; input -> when the bytes were hashed.

        Raises:
            DamagedInput: an artifact is not what its record says, or files of it were dropped.
            UserError: a raw file is no longer what the stage's key was made of.
        """
        found = {}
        for name, source in stage.inputs.items():
            if isinstance(source, Output):
                record = self.record(source, parents)
                dropped = self._store.is_dropped(record, source.part)
                if (
                    dropped
                    or record.part_digest(source.part) != digests[name]
                    or self._reads.damaged(record, source.part)
                ):
                    raise DamagedInput(source.stage, record, source.part)
                found[name] = self._reads.hashed(record, source.part)
            elif self._sources.digest(source.path) != digests[name]:
                raise UserError("changed while the study ran", where=str(source.path), fix="run again")
        return found
