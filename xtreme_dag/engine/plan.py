"""The plan: what a run would do, and why. It writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.engine.code_changes import code_changes
from xtreme_dag.engine.digests import FileDigests
from xtreme_dag.engine.graph import Graph, Output, Source, Stage
from xtreme_dag.engine.keys import Keys, changes
from xtreme_dag.engine.ledger import Last, Ledger
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.provenance import maker
from xtreme_dag.engine.store import Record, Store

CACHED, STALE, NEW, WAITING, FAILED = "cached", "stale", "new", "waiting", "failed"
STATUSES = (CACHED, STALE, NEW, WAITING, FAILED)
ON_THE_MIRROR = "on the mirror"  # the reason for which a stage is cached that this home does not have
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One stage of a plan.

    Attributes:
        stage: the stage.
        status: `cached`; `stale` (it ran before and something changed); `new`; `waiting` (an input will be made again
            and may come out equal); `failed` (it failed last time with this very key).
        key: the key, or empty while an input's content is not known.
        digest: digest of the artifact where it is cached.
        reasons: why it is not cached.
        expected_seconds: from earlier runs; None if nothing is known.
        maker: machine and processor that made the artifact, where it is cached.
        record: of the artifact, where it is cached.
    """

    stage: Stage
    status: str
    key: str = ""
    digest: str = ""
    reasons: tuple[str, ...] = ()
    expected_seconds: float | None = None
    maker: str = ""
    record: Record | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All stages of a study with their status."""

    study: str
    stages: tuple[Planned, ...]
    by_name: Mapping[str, Planned] = field(default_factory=dict)

    def summary(self) -> dict[str, int]:
        """Status -> number of stages, those that occur."""
        counts = dict.fromkeys(STATUSES, 0)
        for planned in self.stages:
            counts[planned.status] += 1
        return {status: count for status, count in counts.items() if count}

    @property
    def all_cached(self) -> bool:
        """Nothing to do."""
        return all(planned.status == CACHED for planned in self.stages)


def matching(graph: Graph, patterns: Iterable[str]) -> set[str]:
    """Names of stages that patterns name: exact names, `target[*]` wildcards, or a kind alone.

    Raises:
        UserError: a pattern names no stage.
    """
    names = [stage.name for stage in graph]
    found: set[str] = set()
    for pattern in patterns:
        literal = pattern.replace("[", "[[]")
        hits = {stage.name for stage in graph if stage.name == pattern or stage.kind == pattern}
        hits |= {name for name in names if fnmatchcase(name, literal)}
        if not hits:
            raise UserError(f"no stage {pattern!r} in this study", fix=nearest(pattern, names))
        found |= hits
    return found


class Planner:
    """Looks at stages in the light of the store and the ledger."""

    def __init__(
        self,
        home: Home,
        study: str,
        *,
        keys: Keys | None = None,
        forced: frozenset[str] = frozenset(),
        mirror: Mirror | None = None,
    ) -> None:
        self.store = Store(home.store)
        self.keys = keys or Keys.of()
        self.sources = FileDigests(home.caches / "digests.json")
        self._forced = forced
        self._mirror = mirror
        ledger = Ledger(home.ledger)
        self._last = ledger.last(study)
        self._typical = ledger.median_seconds()
        self._study = study
        self._changed: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    def plan(self, graph: Graph) -> Plan:
        """Status, key and reasons of every stage."""
        planned: dict[str, Planned] = {}
        records: dict[str, Record] = {}
        for stage in graph:
            planned[stage.name] = self._look(stage, planned, records)
        for stage in reversed([stage for stage in graph if stage.of.drops and stage.name in records]):
            planned[stage.name] = self._dropped(planned[stage.name], records[stage.name], graph, planned)
        return Plan(study=self._study, stages=tuple(planned.values()), by_name=planned)

    def _dropped(self, found: Planned, record: Record, graph: Graph, planned: Mapping[str, Planned]) -> Planned:
        """A stage whose files were dropped: cached, unless one that reads them will run."""
        if found.reasons or not self.store.is_dropped(record):
            return found
        readers = [planned[name] for name in graph.readers_of(found.stage.name)]
        run = [each.stage.name for each in readers if each.status not in (CACHED, WAITING)]
        if not run:
            return replace(found, reasons=("dropped when all that reads it was done; the record stays",))
        more = f" and {len(run) - 1} more" if len(run) > 1 else ""
        why = f"dropped, and {run[0]}{more} needs it: it runs again under the same key"
        return replace(found, status=STALE, digest="", reasons=(why,), expected_seconds=record.seconds)

    def input_digests(self, stage: Stage, records: Mapping[str, Record]) -> dict[str, str | None]:
        """Digest of each input; None where it is not known yet.

        Raises:
            UserError: a raw source cannot be read.
        """
        return {name: self._input_digest(stage, source, records) for name, source in stage.inputs.items()}

    def _input_digest(self, stage: Stage, source: Source | Output, records: Mapping[str, Record]) -> str | None:
        if isinstance(source, Source):
            return self.sources.digest(source.path)
        record = records.get(source.stage)
        if record is None:
            return None
        digest = record.part_digest(source.part)
        if digest is None:
            raise UserError(f"has no {source.part!r}", where=source.stage, fix=f"{stage.name} needs it")
        return digest

    def _look(self, stage: Stage, planned: Mapping[str, Planned], records: dict[str, Record]) -> Planned:
        digests = self.input_digests(stage, records)
        last = self._last.get(stage.name, Last())
        earlier = self.store.read(last.key) if last.key else None
        expected = earlier.seconds if earlier else self._typical.get(stage.kind)
        known = {name: digest for name, digest in digests.items() if digest is not None}
        if len(known) < len(digests):
            return self._unknown(stage, known, digests, earlier, planned, expected)
        key = self.keys.key(stage, known)
        record = earlier if last.key == key else self.store.read(key)
        if record is not None and stage.name not in self._forced and self._is_there(record):
            records[stage.name] = record
            return _cached(stage, record)
        suspect = record.suspect if record is not None else ""
        wanted = self._mirror is not None and stage.name not in self._forced and not suspect
        if wanted and self._mirror is not None and (there := self._mirror.read(key)):
            records[stage.name] = there
            return _cached(stage, there, ON_THE_MIRROR)
        if stage.name in self._forced and record is not None:
            status, reasons = STALE, ["forced"]
        elif record is not None:
            status, reasons = STALE, [suspect or "damaged"]
        elif last.failed_key == key:
            status, reasons = FAILED, [f"failed last time: {last.error}"]
        elif earlier is not None:
            status, reasons = STALE, self._reasons(stage, known, earlier)
        elif last.key:
            status, reasons = STALE, ["record is gone"]
        else:
            status, reasons = NEW, ["never run"]
        return Planned(stage=stage, status=status, key=key, reasons=tuple(reasons), expected_seconds=expected)

    def _is_there(self, record: Record) -> bool:
        return self.store.is_intact(record) or self.store.is_dropped(record)

    def _unknown(
        self,
        stage: Stage,
        known: Mapping[str, str],
        digests: Mapping[str, str | None],
        earlier: Record | None,
        planned: Mapping[str, Planned],
        expected: float | None,
    ) -> Planned:
        pending = [stage.inputs[name] for name, digest in digests.items() if digest is None]
        upstream = tuple(
            f"input {source.stage} {planned[source.stage].status}" for source in pending if isinstance(source, Output)
        )
        if earlier is None:
            return Planned(stage=stage, status=NEW, reasons=("never run",), expected_seconds=expected)
        # What is known already may differ: then the stage runs whatever its input comes out as.
        changed = self._reasons(
            stage, known, earlier, pending={name for name, digest in digests.items() if digest is None}
        )
        status = STALE if changed else WAITING
        return Planned(stage=stage, status=status, reasons=tuple(changed) or upstream, expected_seconds=expected)

    def _reasons(
        self, stage: Stage, inputs: Mapping[str, str], earlier: Record, pending: Iterable[str] = ()
    ) -> list[str]:
        """What differs between a stage as it is now and an earlier execution of it."""
        now = self.keys.identity(stage, inputs)
        before = {name: earlier.manifest.get(name, {}) for name in ("params", "libraries")}
        reasons = [
            f"parameter {name.removeprefix('recipe.')} {_short(old)} -> {_short(new)}"
            for name, old, new in changes(before["params"], now["params"])
        ]
        if earlier.manifest.get("code") != now["code"]:
            reasons += self._code_reasons(str(earlier.manifest.get("code")), stage.roots)
        reasons += [
            f"library {name} {old} -> {new}" for name, old, new in changes(before["libraries"], now["libraries"])
        ]
        old_inputs = {
            name: entry.get("digest")
            for name, entry in earlier.manifest.get("inputs", {}).items()
            if name not in set(pending)
        }
        for name, old, new in changes(old_inputs, dict(inputs)):
            reasons.append(self._input_reason(stage, name, old, new))
        return reasons

    def _code_reasons(self, before: str, functions: tuple[str, ...]) -> tuple[str, ...]:
        if (before, functions) not in self._changed:
            found = code_changes(self.store.code(before), self.keys.code(*functions)[1])
            self._changed[before, functions] = tuple(f"code {each}" for each in found)
        return self._changed[before, functions]

    @staticmethod
    def _input_reason(stage: Stage, name: str, old: Any, new: Any) -> str:
        source = stage.inputs.get(name)
        what = name if source is None else source.stage if isinstance(source, Output) else source.path.name
        verb = "added" if old is None else "removed" if new is None else "content changed"
        return f"input {what} {verb}"


def _cached(stage: Stage, record: Record, *reasons: str) -> Planned:
    made = maker(record.manifest)
    return Planned(
        stage=stage, status=CACHED, key=record.key, digest=record.digest, reasons=reasons, maker=made, record=record
    )


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
