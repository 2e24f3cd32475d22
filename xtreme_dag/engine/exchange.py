"""A store that shares artifacts with other machines through a mirror: what a run fetches, pushes and resumes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import locked
from xtreme_dag.engine.calls import Listener
from xtreme_dag.engine.checkpoints import Checkpoints
from xtreme_dag.engine.failures import disk_errors
from xtreme_dag.engine.graph import Stage
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.reads import Reads
from xtreme_dag.engine.store import Record, Store


def is_note(name: str) -> bool:
    """Whether a file of an artifact is one of those in which it says of itself what is landed: small, and read as JSON."""
    return "/" not in name and name.endswith(".json")


class Exchange:
    """The store of a home, and its mirror if there is one.

    Attributes:
        known: stage name -> key of those that have an artifact in this run, a negative verdict included.
    """

    def __init__(self, home: Home, mirror: Mirror | None, forced: frozenset[str]) -> None:
        self.home = home
        self.store = Store(home.store)
        self.known: dict[str, str] = {}
        self._mirror = mirror
        self.reads = Reads(self.store, home.caches)
        self._forced = set(forced)
        self._wanted: set[str] = set()  # stages whose dropped files are needed
        self._elsewhere: dict[str, Record] = {}

    def record(self, key: str) -> Record | None:
        """The record of a key: of this home, or one that `learn` was told of."""
        return self._elsewhere.get(key) or self.store.read(key)

    def learn(self, record: Record) -> None:
        """Takes note of a record whose artifact is on another machine, so that keys can be made of its digest."""
        self._elsewhere[record.key] = record

    def is_forced(self, stage: Stage) -> bool:
        """Whether the stage has to run although its artifact is there."""
        return stage.name in self._forced

    def force(self, stage: Stage) -> None:
        """Lets a stage run once although its artifact is there."""
        self._forced.add(stage.name)

    def lookup(self, stage: Stage, key: str) -> Record | None:
        """The record of a key whose artifact is there, but for dropped files that nobody wants; none of a forced stage.

        A verdict, which is believed here, is hashed.
        """
        look = self.store.intact if stage.name in self._wanted else self.store.standing
        record = None if stage.name in self._forced else look(key)
        return None if record is not None and stage.gates and self.reads.damaged(record) else record

    def want(self, stage: Stage) -> None:
        """Says that a stage that has to run reads files of an artifact that were dropped: they are made again."""
        self._wanted.add(stage.name)

    def fetch(self, stage: Stage, key: str, listen: Listener) -> None:
        """Brings the artifact of a key from the mirror, if it is there and not here."""
        if self._mirror is None or stage.name in self._forced or self.lookup(stage, key) is not None:
            return
        if self._is_suspect(key) or not self._mirror.has(key):
            return
        with disk_errors(stage.name), locked(self.store.lock_path(key), stage.name):
            self._pull(stage.name, key, listen)

    def _pull(self, name: str, key: str, listen: Listener, digest: str = "") -> bool:
        """Brings the artifact of a key whose lock is held, unless it is here; whether it is here then.

        Args:
            name: of the stage.
            key: its key.
            listen: is told.
            digest: of the artifact, where it must be this one.
        """
        assert self._mirror is not None
        here = self.store.intact(key)
        if here is not None and digest in ("", here.digest):
            return True
        found = self._mirror.pull(key, self.store, self.home.work / key / "pulled")
        if found is not None:
            listen({"event": "log", "message": f"{name}: pulled from {self._mirror.url}"})
        return found is not None and digest in ("", found.digest)

    def bring(self, name: str, key: str, digest: str, listen: Listener) -> None:
        """Brings the artifact of a stage that ran on another machine, and no other one.

        Raises:
            UserError: it is neither here nor in the mirror.
        """
        here = self.store.intact(key)
        if here is not None and here.digest == digest:
            return
        if self._mirror is None:
            raise UserError("its artifact is not in this home", where=name, fix="share the home, or name a --mirror")
        self._mirror.trust(key)
        with disk_errors(name), locked(self.store.lock_path(key), name):
            if not self._pull(name, key, listen, digest):
                why = self._mirror.trouble or "its artifact is not there"
                raise UserError(why, where=f"{name} in mirror {self._mirror.url}", fix="run again")

    def bring_notes(self, name: str, key: str, digest: str, listen: Listener) -> None:
        """Brings what the artifact of a stage that ran on another machine says of itself; its other files count as dropped.

        Raises:
            UserError: it is neither here nor in the mirror.
        """
        here = self.store.standing(key)
        if (here is not None and here.digest == digest) or self._mirror is None:
            return
        self._mirror.trust(key)
        with disk_errors(name), locked(self.store.lock_path(key), name):
            here = self.store.standing(key)
            if here is not None and here.digest == digest:
                return
            found = self._mirror.pull(key, self.store, self.home.work / key / "notes", of=is_note)
            if found is None or found.digest != digest:
                why = self._mirror.trouble or "its artifact is not there"
                raise UserError(why, where=f"{name} in mirror {self._mirror.url}", fix="run again")

    def deliver(self, stage: Stage, key: str, listen: Listener, *, forced: bool = False) -> None:
        """Sees to it that what a stage made is where the other machines find it.

        Where another machine has put other bytes under the same key meanwhile, those hold; unless the stage was forced.

        Raises:
            UserError: the mirror does not take it, or what it has is damaged.
        """
        record = self.store.intact(key)
        if self._mirror is None or record is None or self._mirror.has_sent(record):
            return
        there = self._mirror.look(key)
        if there is not None and there.digest != record.digest and forced:
            self._mirror.distrust(key, f"{stage.name} was forced and made other bytes: they replace those there")
            there = None
        if there is None:
            if not self._mirror.send(self.store, record):
                raise UserError(f"cannot be pushed: {self._mirror.trouble}", where=stage.name, fix="run again")
            there = self._mirror.look(key)
        if there is None or there.digest != record.digest:
            self.bring(stage.name, key, there.digest if there is not None else record.digest, listen)

    def _is_suspect(self, key: str) -> bool:
        record = self.store.read(key)
        return record is not None and bool(record.suspect)

    def mirror_trouble(self) -> str:
        """What went wrong with the mirror in this run; empty if nothing did."""
        return self._mirror.trouble if self._mirror else ""

    def push_found(self) -> None:
        """Pushes what this run found here and the mirror lacks; many new records get copies that are read at once."""
        if self._mirror is not None:
            self._mirror.push_all(self.store, self.known.values())
            self._mirror.pack()

    @contextmanager
    def _checkpoints(
        self, stage: Stage, key: str, scratch: Path, device: str, listen: Listener
    ) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Goes on from another machine's checkpoint, and copies those of this stage to the mirror while it runs."""
        if self._mirror is None or not stage.of.device:
            yield lambda event: None
            return
        checkpoints = Checkpoints(self._mirror, key, scratch, device)
        if stage.name not in self._forced and (found := checkpoints.bring()):
            listen({"event": "log", "message": f"{stage.name}: goes on from {found} of another machine"})
        done = False
        try:
            yield checkpoints.listen
            done = True
        finally:
            checkpoints.close(forget=done)
