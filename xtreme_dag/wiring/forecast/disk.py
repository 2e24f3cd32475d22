"""Estimates what a study will leave on the disk, and how it could leave less.

A model has four bytes for each parameter of the encoder, two where its recipe stores bf16, and four for each of an
adapter where that is all that is kept. Tables have about 13 bytes
for each token (measured on small studies: 6 to 16 encoded, 2 to 3 as text).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.core.home import Home
from xtreme_dag.core.sizes import gigabytes
from xtreme_dag.engine.dropping import dropped
from xtreme_dag.engine.graph import Graph, Stage
from xtreme_dag.engine.plan import CACHED, Plan
from xtreme_dag.engine.store import Store
from xtreme_dag.study.file import Study
from xtreme_dag.study.train_recipe import STORED_BYTES
from xtreme_dag.wiring.forecast.costs import same_work
from xtreme_dag.wiring.forecast.shapes import Parameters, shape_of_model
from xtreme_dag.wiring.forecast.sizes import Sizes, total
from xtreme_dag.wiring.kinds import ENCODE, KINDS, PRETRAIN

TOKEN_BYTES = 13
# Checkpoints of a training that is under way: what trains and two moments, three times (one is being written), and the best.
CHECKPOINT_COPIES = 10
_FULL, _HALF = STORED_BYTES["fp32"], STORED_BYTES["bf16"]


@dataclass(frozen=True, kw_only=True)
class Disk:
    """An estimate, of the stages that are not cached.

    Attributes:
        models: how many models will be trained.
        targets: how many of them for target tasks.
        model_bytes: of all of them; None if the model's size is not known.
        target_bytes: of those for target tasks, of which `keep: scores` drops the weights.
        table_bytes: of tables.
        training: bytes in float32 of what trains in one model, the most of any; None if not known.
        keeps: what the study keeps, `all` or `scores`.
        full: how many of the models are stored in float32.
        free: bytes that are free where the home is.
        dropped: bytes of weights that were dropped already.
    """

    models: int
    targets: int
    model_bytes: int | None
    target_bytes: int
    table_bytes: int
    training: int | None
    keeps: str
    full: int
    free: int
    dropped: int

    @property
    def left(self) -> int:
        """Bytes that will be left when all has run."""
        return (self.model_bytes or 0) + self.table_bytes - (self.target_bytes if self.keeps == "scores" else 0)

    def lines(self) -> Iterator[str]:
        """What to print; nothing for a study that leaves little and has room for it."""
        if self.dropped:
            yield f"disk: the weights of target models are dropped ({gigabytes(self.dropped)}); their records stay"
        if not self.models:
            return
        if self.model_bytes is None or self.training is None:
            yield f"disk: {self.models} models, of unknown size; {gigabytes(self.free)} are free"
            return
        kept = self.models - (self.targets if self.keeps == "scores" else 0)
        gone = f"; {self.targets} more go once they are evaluated (keep: scores)" if kept < self.models else ""
        yield (
            f"disk: about {gigabytes(self.left)} will be left ({kept} models, {gigabytes(self.table_bytes)} of tables{gone}),"
            f" {gigabytes(self.free)} are free; checkpoints take up to {gigabytes(CHECKPOINT_COPIES * self.training)} while a model trains"
        )
        if self.left + CHECKPOINT_COPIES * self.training > self.free:
            yield f"warning: disk: that is more than is free{self._advice()}"

    def _advice(self) -> str:
        ways = []
        if self.keeps == "all" and self.targets:
            ways.append(
                f"`keep: scores` drops the weights of target models once they are evaluated ({gigabytes(self.target_bytes)})"
            )
        if self.full:
            ways.append("`storage: bf16` in the recipe stores models in half")
        return (
            f"; to need less: {'; '.join(ways)}; or name another disk with --home" if ways else "; --home names another"
        )


def disk(study: Study, graph: Graph, plan: Plan, sizes: Sizes, home: Home) -> Disk:
    """The estimate for the stages that are not cached."""
    made = [sizes.artifact(stage.name, "encoder/config.json") for stage in graph if stage.of is PRETRAIN]
    encoder = next((path.parent for path in made if path is not None), None)
    shape, same = shape_of_model(study, graph, encoder), same_work(graph)
    known = {planned.stage.name: planned.key for planned in plan.stages if planned.status == CACHED}
    to_make = {same[stage.name]: stage for stage in reversed(list(graph)) if stage.name not in known}
    models = [stage for stage in to_make.values() if _is_training(stage)]
    targets = [stage for stage in models if stage.of.drops]
    trained = [_trained(stage, shape) for stage in models]
    tables = [sizes.of(stage.name).tokens or 0 for stage in to_make.values() if stage.of is ENCODE]
    return Disk(
        models=len(models),
        targets=len(targets),
        model_bytes=total(_stored(stage, shape) for stage in models),
        target_bytes=total(_stored(stage, shape) for stage in targets) or 0,
        table_bytes=TOKEN_BYTES * sum(tables),
        training=None if None in trained else max((value or 0 for value in trained), default=0),
        keeps=study.keep,
        full=sum(_stores_all(stage) and _width(stage) == _FULL for stage in models),
        free=_free(home.root),
        dropped=sum(size for _name, size in dropped(Store(home.store), graph, known)),
    )


def _is_training(stage: Stage) -> bool:
    """Whether a stage trains a model; one that takes a chosen trial's has that of the trial."""
    return stage.kind in KINDS and KINDS[stage.kind].trains and bool(stage.inputs) and "trial/0" not in stage.inputs


def _recipe(stage: Stage) -> Mapping[str, Any]:
    return stage.params.get("recipe") or {}


def _stores_all(stage: Stage) -> bool:
    """Whether a training stores an encoder, and not an adapter alone."""
    return bool((_recipe(stage).get("lora") or {}).get("merge", True))


def _stored(stage: Stage, shape: Parameters) -> int | None:
    """Bytes of a training's model."""
    if not _stores_all(stage):
        return _trained(stage, shape)
    return None if shape.stored is None else shape.stored * _width(stage)


def _trained(stage: Stage, shape: Parameters) -> int | None:
    """Bytes of what a training trains."""
    lora = _recipe(stage).get("lora")
    parameters = shape.of_adapter(lora) if lora else shape.stored
    return None if parameters is None else parameters * _FULL


def _width(stage: Stage) -> int:
    """Bytes of a stored parameter of a training's model."""
    return STORED_BYTES[_recipe(stage).get("storage", "fp32")]


def _free(place: Path) -> int:
    """Bytes that are free on the disk of a folder that may not be there yet."""
    there = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free
