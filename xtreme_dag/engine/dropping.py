"""Deletes large files of artifacts once every stage that reads them is done, for studies with `keep: scores`.

Records stay, so keys stay known and nothing runs again. A stage that comes to need the files later has them made again
under the same key. Nothing is dropped that another study holds: one whose ledger's last word on the stage has its key,
and that has not released it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.engine.ledger import RELEASED, Ledger
from xtreme_dag.engine.store import Record, Store


class Dropping:
    """Drops what a run does not need any more.

    Args:
        home: whose store and ledger.
        study: the name under which the ledger knows the run's stages.
        graph: all stages of the study, those included that this run is not about: they too may read.

    Attributes:
        freed: bytes that were dropped so far.
    """

    def __init__(self, home: Home, study: str, graph: Graph) -> None:
        self._store = Store(home.store)
        self._ledger = Ledger(home.ledger)
        self._study = study
        self._graph = graph
        self.freed = 0
        self._digests: dict[str, tuple[int, str]] = {}  # key -> when its record was written, and its artifact

    def all(self, known: Mapping[str, str]) -> int:
        """Drops what can be; see `of`."""
        return sum(self.of(stage, known) for stage in self._graph if stage.of.drops)

    def after(self, name: str, known: Mapping[str, str]) -> int:
        """Drops what a stage that has just been done was the last to read; see `of`."""
        read = {source.stage for source in self._graph[name].inputs.values() if isinstance(source, Output)}
        return sum(self.of(self._graph[parent], known) for parent in sorted(read) if self._graph[parent].of.drops)

    def of(self, stage: Stage, known: Mapping[str, str]) -> int:
        """Releases a stage's artifact if all that reads it is done, and drops its files if nobody else holds it.

        Args:
            stage: whose kind has files to drop.
            known: stage name -> key of those that have an artifact.

        Returns:
            How many bytes that freed.
        """
        record = self._store.intact(known[stage.name]) if stage.name in known else None
        if record is None or not self._is_read(stage, known):
            return 0
        self._release(stage, record)
        same = self._keys_of(record.digest)
        # What the ledger does not know, or no longer says, may be needed.
        if self._ledger.trouble() or not same <= self._ledger.keys() or self._ledger.holders(same):
            return 0
        names = [name for name in record.files if any(fnmatchcase(name, each) for each in stage.of.drops)]
        try:
            freed = self._store.drop(record, names)
        except OSError:  # the next run tries again
            return 0
        self.freed += freed
        return freed

    def _keys_of(self, digest: str) -> set[str]:
        """Keys of all records of an artifact; of records, only those that are new since the last time are read."""
        for path in (self._store.root / "records").glob("*/*.json"):
            written, known = path.stat().st_mtime_ns, self._digests.get(path.stem)
            if known is None or known[0] != written:
                record = self._store.read(path.stem)
                self._digests[path.stem] = written, record.digest if record is not None else ""
        # One that cannot be read may be of it, too.
        return {key for key, (_written, made) in self._digests.items() if made in (digest, "")}

    def _is_read(self, stage: Stage, known: Mapping[str, str]) -> bool:
        """Whether some stage reads the artifact and all that do are done."""
        readers = self._graph.readers_of(stage.name)
        return bool(readers) and all(name in known for name in readers)

    def _release(self, stage: Stage, record: Record) -> None:
        last = self._ledger.last(self._study).get(stage.name)
        if last is None or last.key != record.key or last.released:
            return
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"time": moment, "run": "drop", "study": self._study, "stage": stage.name, "kind": stage.kind}
        with suppress(OSError):  # what is not released is not dropped
            self._ledger.append([{**entry, "key": record.key, "outcome": RELEASED}])


def standing_in(
    executor: Executor, graph: Graph, standing: Callable[[Stage, Mapping[str, str]], Record | None] | None = None
) -> dict[str, Record]:
    """The records of the stages of a graph that need nothing done, nor does any stage that they need.

    A stage of which files were dropped is not among them if one that reads them has to run.

    Args:
        executor: of the run.
        graph: its stages.
        standing: the record of a stage that needs nothing done, given the keys of its parents; by default the executor's.
    """
    standing = standing or executor.standing
    found: dict[str, Record] = {}
    for stage in graph:
        if all(parent in found for parent in stage.parents):
            record = standing(stage, {name: found[name].key for name in stage.parents})
            found |= {stage.name: record} if record is not None else {}
    there = set(found)
    for stage in reversed([stage for stage in graph if stage.name in there and stage.of.drops]):
        to_run = [graph[name] for name in graph.readers_of(stage.name) if name not in found]
        # One whose other inputs are still to be made may come out cached: it has them made if it does not.
        if executor.store.is_dropped(found[stage.name]) and any(there.issuperset(each.parents) for each in to_run):
            executor.want(stage)
            del found[stage.name]
    return found


def dropped(store: Store, graph: Graph, known: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """The stages of which files were dropped, and the size of those files."""
    for stage in graph:
        record = store.standing(known[stage.name]) if stage.of.drops and stage.name in known else None
        if record is not None and store.is_dropped(record):
            yield stage.name, sum(record.files[name][1] for name in store.dropped_files(record))
