"""Stages on other machines: what the driver of a study does instead of running them itself.

It computes keys, reads records, gives out orders and brings what it lands; artifacts go from machine to machine through
the mirror, or lie in a home that all of them share.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Cancelled

from flows._engines import Engine
from tasks._elsewhere import ORDERS
from tasks._stage import Session
from tasks._untouched import report_not_run
from xtreme_dag.engine.graph import Stage
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.orders import Order, stage_json
from xtreme_dag.engine.store import Record
from xtreme_dag.wiring.kinds import AUDIT, CHECK, EVALUATE

# More than there is room for, so that nobody waits for the driver; and some when nobody is there yet.
_AHEAD, _LEAST = 1.25, 4
_WHOLE = (CHECK, AUDIT, EVALUATE)  # kinds whose artifacts are landed in full
_LOST = "machine after machine was lost under it"
_STOPPED = "the run was stopped before this stage was done"


class NotGiven:
    """The future of a stage that nobody gets any more.

    Args:
        task_run_id: of the task run that says so.
    """

    def __init__(self, task_run_id: UUID) -> None:
        self.task_run_id = task_run_id
        self.state: State[Any] = Cancelled(message=_STOPPED)

    def add_done_callback(self, tell: Callable[[Any], None]) -> None:
        """Tells at once."""
        tell(self)


class Elsewhere:
    """Runs the stages of a session on an engine; see `flows._graph.Here` for the same in this process.

    Args:
        session: of the run.
        engine: where they run.
        mirror: through which artifacts go; None if all machines share the session's home.
        options: of the stages.
        device: what to compute on, as a user says it.
        run: id of the run.
    """

    def __init__(
        self,
        session: Session,
        engine: Engine,
        mirror: Mirror | None,
        *,
        options: Mapping[str, Any],
        device: str,
        run: str,
    ) -> None:
        self._session, self._engine, self._mirror = session, engine, mirror
        self._options, self._run = dict(options), run
        self._gpus = device.startswith("cuda") or (device == "auto" and engine.places()[1] > 0)
        self._keys: dict[str, str] = {}
        self._brought: list[Future[None]] = []
        self._threads = ThreadPoolExecutor(8)

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def devices(self, stage: Stage) -> int:
        """How many GPUs a stage takes."""
        return stage.devices if self._gpus and stage.of.device else 0

    def fits(self) -> Callable[[str, int], bool]:
        """Whether one stage more can be given out now, with so many under way."""
        places = max(_LEAST, int(self._engine.places()[0] * _AHEAD) + 1)
        return lambda name, taken: taken < places

    def take(self, stage: Stage) -> None:
        """The engine itself gives out places and GPUs."""

    def free(self, stage: Stage) -> None:
        """As `take`."""

    def standing(self, stage: Stage, parents: Mapping[str, str]) -> Record | None:
        """The record of a stage that needs nothing done: in the mirror if there is one, its verdict positive if it has one."""
        executor, mirror = self._session.executor, self._mirror
        if mirror is None or executor.is_forced(stage):
            return executor.standing(stage, parents)
        key = executor.key(stage, parents)
        there = mirror.has(key)
        if there and stage.gates:
            executor.fetch(stage, key, _silent)  # its verdict is read here
        elif there and executor.store.standing(key) is None and (record := mirror.read(key)) is not None:
            executor.learn(record)
            self._bring(stage, record)
            return record
        found = executor.standing(stage, parents)
        if found is None or there:
            return found
        if executor.store.intact(key) is None:  # the rest of it is nowhere
            return None
        executor.deliver(stage, key, _silent)
        return executor.standing(stage, parents)

    def _bring(self, stage: Stage, record: Record) -> None:
        """Brings what is landed in the database, beside the run: of trainings and tables, what they say of themselves."""
        if self._mirror is not None:
            whole = stage.gates or stage.of in _WHOLE
            bring = self._session.executor.bring if whole else self._session.executor.bring_notes
            self._brought.append(self._threads.submit(bring, stage.name, record.key, record.digest, _silent))

    def submit(
        self, stage: Stage, done: Mapping[str, dict[str, str]], runs: Mapping[str, UUID]
    ) -> PrefectFuture[Any] | NotGiven:
        """A stage as an order to the machines."""
        executor = self._session.executor
        parents = {name: {part: done[name][part] for part in ("key", "digest")} for name in stage.parents}
        digests = executor.inputs.digests(stage, {name: parent["key"] for name, parent in parents.items()})
        key = self._keys[stage.name] = executor.keys.key(stage, digests)
        order = Order(
            stage=stage_json(stage),
            key=key,
            identity=executor.keys.identity(stage, digests),
            parents=parents,
            home=str(executor.home.root),
            mirror=self._mirror.plain if self._mirror is not None else "",
            mirrored=self._mirror is not None,
            study=executor.study,
            run=self._run,
            options=self._options,
            device="cuda" if self.devices(stage) else "cpu",
            forced=executor.is_forced(stage),
            urgency=self._session.urgency[stage.name],
            expected=executor.expected.get(stage.name, 0.0),
        )
        if executor.stopped:
            return NotGiven(report_not_run(UUID(self._run), stage, _STOPPED, runs))
        task = ORDERS[stage.kind].with_options(task_run_name=stage.name)
        upstream = [runs[name] for name in stage.parents if name in runs]
        return self._engine.submit(task, order.json(), stage, self.devices(stage), upstream)

    def outcome(self, stage: Stage, future: PrefectFuture[Any] | NotGiven) -> tuple[str, Record | None]:
        """What became of a stage, and its record."""
        executor, listen = self._session.executor, self._session.listen
        state = future.state if isinstance(future, NotGiven) else self._engine.state(future)
        key = self._keys[stage.name]
        if state is None or not state.is_completed():
            reason = _LOST if state is None else (state.message or state.name or "").partition("\n")[0]
            executor.told_failed(stage, key, reason)
            listen({"event": "failed", "stage": stage.name, "message": reason})
            return FAILED, None
        told = state.result()
        if self._mirror is None:
            record = executor.store.standing(key)
        else:
            self._mirror.trust(key)
            record = self._mirror.look(key)
        if record is None or record.digest != told["digest"]:
            reason = f"its artifact is not where {told['host']} put it"
            executor.told_failed(stage, key, reason)
            listen({"event": "failed", "stage": stage.name, "message": reason})
            return FAILED, None
        cached = state.name == "Cached"
        same = (told["host"], told["home"]) == (platform.node(), str(executor.home.root))
        executor.told(stage, record, cached=cached, seconds=told["seconds"], here=same)
        self._bring(stage, record)
        listen({"event": "finished", "stage": stage.name, "cached": cached, "seconds": told["seconds"]})
        return (CACHED if cached else DONE), record

    def brought(self) -> None:
        """Waits for what is to be landed.

        Raises:
            UserError: the mirror does not give it.
        """
        for future in self._brought:
            future.result()


def _silent(event: Mapping[str, Any]) -> None:
    """Hundreds of lines that small files were pulled say nothing."""
