"""Runs one stage: lock, look again, check what it reads, work, commit, log. Everything that runs stages calls this."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import locked
from xtreme_dag.engine import damage
from xtreme_dag.engine import ledger as log
from xtreme_dag.engine.calls import Listener, Request, StageFailed
from xtreme_dag.engine.claims import Claims
from xtreme_dag.engine.course import Course
from xtreme_dag.engine.devices import Devices
from xtreme_dag.engine.digests import FileDigests
from xtreme_dag.engine.exchange import Exchange
from xtreme_dag.engine.failures import disk_error, disk_errors, failure_reason
from xtreme_dag.engine.garbage import sweep
from xtreme_dag.engine.gates import GateClosed, why_closed
from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.engine.inputs import Inputs
from xtreme_dag.engine.keys import Keys
from xtreme_dag.engine.ledger import Ledger
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.engine.priority import expected, urgency
from xtreme_dag.engine.provenance import described, manifest
from xtreme_dag.engine.reads import DamagedInput
from xtreme_dag.engine.store import Record

# How often a stage's inputs are made again before the disk is to blame.
_MENDED = 3


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one stage.

    Attributes:
        key: its key.
        digest: its artifact's digest.
        cached: whether it was there already.
        seconds: how long it took here (0 when cached).
    """

    key: str
    digest: str
    cached: bool
    seconds: float


class Executor(Exchange):
    """What all stages of one run share: store, mirror, keys, workers, ledger."""

    def __init__(
        self,
        home: Home,
        study: str,
        pool: WorkerPool,
        *,
        forced: frozenset[str] = frozenset(),
        options: Mapping[str, Any] | None = None,
        devices: tuple[str, ...] = ("cpu",),
        keys: Keys | None = None,
        mirror: Mirror | None = None,
        run: str = "",
    ) -> None:
        super().__init__(home, mirror, forced)
        sweep(home)  # what a run that was killed has left
        self.keys = keys or Keys.of()
        self.sources = FileDigests(home.caches / "digests.json")
        self.inputs = Inputs(self.store, self.reads, self.sources, self.record)
        self.ledger = Ledger(home.ledger)
        self.study = study
        self.run = run or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{platform.node()}"
        self._pool = pool
        self._options = dict(options or {})
        self._devices = Devices(devices)
        self._last = self.ledger.last(study)
        self._met: dict[str, Stage] = {}
        self._cached: set[str] = set()
        self._failures: dict[str, str] = {}
        # Two processes that are told apart by nothing but their numbers are two runs.
        own = run or f"{self.run}-{os.getpid()}"
        self.claims = Claims(home.running, mirror, study=study, run=own)
        self.expected: Mapping[str, float] = {}

    @property
    def workers(self) -> int:
        """How many stages run side by side."""
        return self._pool.size

    @property
    def devices(self) -> int:
        """How many devices the stages share; 0 if they compute on the CPU, which is not limited."""
        return self._devices.count

    @property
    def stopped(self) -> bool:
        """Whether the run was stopped: no stage starts any more."""
        return self._pool.closed

    def urgency(self, graph: Graph) -> dict[str, float]:
        """Seconds of the longest chain that begins with each stage of a graph, as far as earlier runs tell."""
        taken = {name: last.seconds for name, last in self._last.items() if last.seconds is not None}
        self.expected = expected(graph, taken)
        return urgency(graph, taken)

    def key(self, stage: Stage, parents: Mapping[str, str]) -> str:
        """The stage's key, given the keys of its parents (stage name -> key)."""
        return self.keys.key(stage, self.inputs.digests(stage, parents))

    def standing(self, stage: Stage, parents: Mapping[str, str]) -> Record | None:
        """The record of a stage that needs nothing done: there, intact, not forced, its verdict positive if it has one."""
        record = self.lookup(stage, self.key(stage, parents))
        if record is not None and stage.gates and why_closed(self.store.artifact(record.digest)):
            return None
        return record

    def failure(self, stage: Stage) -> str:
        """Why a stage failed in this run; empty if it did not."""
        return self._failures.get(stage.name, "")

    def execute(self, stage: Stage, parents: Mapping[str, str], listen: Listener, urgency: float = 0.0) -> Result:
        """Runs a stage or finds it done; every outcome goes to the ledger.

        Args:
            stage: the stage.
            parents: name -> key of the stages that it needs.
            listen: receives progress and log events.
            urgency: of the stages that wait for a worker, the one with most goes first.

        Raises:
            UserError: something that the user can mend; `GateClosed` for a negative verdict.
            StageFailed: the stage function failed.
        """
        key = ""
        self._met[stage.name] = stage
        try:
            for _ in range(_MENDED):
                digests = self.inputs.digests(stage, parents)
                before, key = key, self.keys.key(stage, digests)
                if before not in ("", key):  # whoever asked for this stage knows it by the other key
                    raise UserError("what it reads was damaged and came out otherwise when made again", fix="run again")
                self.fetch(stage, key, listen)
                try:
                    return self._settled(stage, key, digests, parents, listen, urgency)
                except DamagedInput as found:
                    self._mend(found, stage, listen, urgency)
            raise UserError(f"what it reads was damaged {_MENDED} times", fix="check the disk and its free space")
        except (UserError, StageFailed) as error:
            reason = failure_reason(error, stage)
            self._failures[stage.name] = reason
            with suppress(UserError):  # the disk is full: the first error says so
                self._note(stage, key, log.FAILED, error=reason)
            raise

    def _settled(
        self,
        stage: Stage,
        key: str,
        digests: Mapping[str, str],
        parents: Mapping[str, str],
        listen: Listener,
        urgency: float,
    ) -> Result:
        """Finds a stage done or runs it, while nobody else does."""

        def waiting(holder: str) -> None:
            listen({"event": "log", "message": f"{stage.name}: waiting for {holder}"})

        with disk_errors(stage.name), locked(self.store.lock_path(key), stage.name, waiting):
            record = self.lookup(stage, key)
            if record is None and stage.name not in self._forced and not self._is_suspect(key):
                self.claims.wait(key, waiting, lambda: self._pool.closed, lambda: self._pull(stage.name, key, listen))
                record = self.lookup(stage, key)
            if record is None:
                record, seconds = self._run(stage, key, digests, parents, listen, urgency)
                self._forced.discard(stage.name)
                self._wanted.discard(stage.name)
                self.known[stage.name] = key
                result = Result(key=key, digest=record.digest, cached=False, seconds=seconds)
                self._note(stage, key, log.DONE, seconds=round(seconds, 3))
            else:
                result = self.found(stage, record)
        self._judge(stage, record)
        return result

    def _mend(self, found: DamagedInput, reader: Stage, listen: Listener, urgency: float) -> None:
        """Makes a damaged artifact (set aside) or dropped files again, for a stage that was about to read them."""
        maker, dropped = self._met.get(found.stage), self.store.is_dropped(found.record)
        if maker is None or any(name not in self.known for name in maker.parents):
            what = f"reads {found.stage}, which is {'dropped' if dropped else 'damaged'}"
            raise UserError(what, where=reader.name, fix="run again")
        if dropped:
            self.want(maker)
        with disk_errors(reader.name), locked(self.store.lock_path(found.record.key), maker.name):
            # Another stage may have found the same and mended it.
            if not dropped and (bad := self.reads.damaged(found.record, found.part)):
                done = damage.set_aside(self.store, found.record, bad)
                told = f"warning: {maker.name}: damaged ({', '.join(bad)}), set aside as {done.place}; it runs again"
                more = f"; {', '.join(done.suspects)} may have read it and run again next time" if done.suspects else ""
                listen({"event": "log", "message": f"{told} before {reader.name}{more}"})
        self.execute(maker, {name: self.known[name] for name in maker.parents}, listen, urgency)

    def save(self) -> None:
        """Writes what this run learnt about files and code, for the next one."""
        self.sources.save()
        self.reads.save()
        self.keys.save()

    def told(self, stage: Stage, record: Record, *, cached: bool, seconds: float, here: bool) -> None:
        """Takes note of a stage that another process has run or found.

        Args:
            stage: the stage.
            record: its record.
            cached: whether it was there.
            seconds: what it took.
            here: whether that process writes the ledger of this home, too.
        """
        self.learn(record)
        if cached:
            self.found(stage, record)
            return
        self._forced.discard(stage.name)
        self._wanted.discard(stage.name)
        self.known[stage.name] = record.key
        if not here:
            self._note(stage, record.key, log.DONE, seconds=round(seconds, 3))

    def told_failed(self, stage: Stage, key: str, reason: str) -> None:
        """Takes note of a stage that failed elsewhere."""
        self._failures[stage.name] = reason
        self._note(stage, key, log.FAILED, error=reason)

    def was_cached(self, stage: Stage) -> bool:
        """Whether a stage that this run executed turned out to be there already (another process made it)."""
        return stage.name in self._cached

    def found(self, stage: Stage, record: Record) -> Result:
        """Notes a cached stage in the ledger, unless the ledger says so already."""
        self._met[stage.name] = stage
        self._cached.add(stage.name)
        self.known[stage.name] = record.key
        last = self._last.get(stage.name)
        taken_up = last is not None and last.released and self.store.is_intact(record)
        if last is None or last.key != record.key or last.failed_key or taken_up:
            self._note(stage, record.key, log.CACHED)
        return Result(key=record.key, digest=record.digest, cached=True, seconds=0.0)

    def not_run(self, stage: Stage) -> None:
        """Notes a stage that could not run because one that it needs failed."""
        self._note(stage, "", log.NOT_RUN)

    def _note(self, stage: Stage, key: str, outcome: str, **more: Any) -> None:
        entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "run": self.run, "study": self.study}
        with disk_errors(stage.name):
            self.ledger.append(
                [{**entry, "stage": stage.name, "kind": stage.kind, "key": key, "outcome": outcome, **more}]
            )

    def _judge(self, stage: Stage, record: Record) -> None:
        folder = self.store.artifact(record.digest)
        if stage.gates and (why := why_closed(folder)):
            raise GateClosed(why, where=stage.name, fix=f"see {folder}")

    def _run(
        self,
        stage: Stage,
        key: str,
        digests: Mapping[str, str],
        parents: Mapping[str, str],
        listen: Listener,
        urgency: float,
    ) -> tuple[Record, float]:
        earlier = self.store.read(key)
        if told := damage.make_room(self.store, earlier, stage.name, forced=self.is_forced(stage)):
            listen({"event": "log", "message": told})
        out, scratch = self.home.work / key / "out", self.home.work / key / "scratch"
        started = datetime.now(UTC)
        try:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            scratch.mkdir(parents=True, exist_ok=True)

            def waiting(holder: str) -> None:
                listen({"event": "log", "message": f"{stage.name}: waiting for a device, held by {holder}"})

            read: dict[str, float] = {}
            with (
                self._devices.lease(stage.devices if stage.of.device else 0, stage.name, waiting) as device,
                self.claims.held(
                    key, stage.name, device=device, expected=self.expected.get(stage.name, 0.0)
                ) as progress,
                self._checkpoints(stage, key, scratch, device, listen) as saved,
            ):
                options = {**self._options, **stage.options, "device": device}
                request = Request(
                    function=stage.function, params=stage.params, imports=stage.of.imports, out=out, scratch=scratch,
                    inputs={name: self.inputs.path(source, parents) for name, source in stage.inputs.items()},
                    options=options, timeout=options.get("timeout"),
                )  # fmt: skip
                course = Course(figure.name for figure in stage.of.figures)

                def heard(event: Mapping[str, Any]) -> None:
                    for hear in (course.hear, progress, saved, listen):
                        hear(event)

                made_of = (source for source in stage.inputs.values() if isinstance(source, Output))
                with self.store.reading(*{self.inputs.record(source, parents).digest for source in made_of}):
                    answer = self._pool.call(
                        request, heard, urgency, lambda: read.update(self.inputs.check(stage, digests, parents))
                    )
                    self.inputs.check(stage, digests, parents)  # what changed meanwhile may have been read
            inputs = described(stage, digests, parents)
            seconds = float(answer["seconds"])
            self.store.keep_code(*self.keys.code(*stage.roots))
            made = manifest(
                stage,
                study=self.study,
                identity=self.keys.identity(stage, digests),
                inputs={name: told | ({"read": read[name]} if name in read else {}) for name, told in inputs.items()},
                options=options,
                started=started,
                answer=answer,
                course=course.points(),
            )
            record = self.store.commit(key, out, made)
            self.reads.remember(record)
        except OSError as error:
            shutil.rmtree(out, ignore_errors=True)
            raise disk_error(error, stage.name) from None
        if earlier is not None and earlier.digest != record.digest:
            listen({"event": "log", "message": f"{stage.name}: ran again with the same key and wrote other bytes"})
            if self._mirror is not None and earlier.suspect:
                self._mirror.distrust(key, f"{stage.name} {earlier.suspect}: it is replaced there")
        shutil.rmtree(self.home.work / key, ignore_errors=True)
        if self._mirror is not None:
            self._mirror.push(self.store, record)
        return record, seconds
