"""One optimizer step's gradients: the batch in micro-batches, forward and backward, each weighted by its true count."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from xtreme_dag.heads import Training, training_of
from xtreme_dag.heads.batches import HostBatch, Masking
from xtreme_dag.study.schedule import Schedule
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.numerics import autocast, seed_part
from xtreme_dag.training.objectives import DeviceBatch, LossModule, joined, on_device
from xtreme_dag.training.pools import Pool, masking_for
from xtreme_dag.training.processes import Processes
from xtreme_dag.training.selection import parts_by_tokens
from xtreme_dag.training.speed import Meter


@dataclass(frozen=True, kw_only=True)
class Job:
    """A forward and backward pass: a part of a step's batch, and what its summed loss is multiplied by."""

    task: int
    batch: HostBatch
    weight: float


class Stepper:
    """Computes gradients.

    Args:
        module: the losses, as this process has them.
        wrapped: the same behind the distributed wrapper (or the same object).
        pools: the tasks' examples.
        schedule: which of them each step sees.
        processes: the other processes.
        recipe: masking probability, precision, micro-batch size.
        seed: of masks and dropout.
        device: where.
        remap: token id -> row of a trimmed embedding table, or None.
        meter: counts what is computed.

    Attributes:
        micro_tokens: tokens of a micro-batch at most, None for no limit.
    """

    def __init__(
        self,
        module: LossModule,
        wrapped: nn.Module,
        *,
        pools: tuple[Pool, ...],
        schedule: Schedule,
        processes: Processes,
        recipe: TrainRecipe,
        seed: int,
        device: torch.device,
        remap: npt.NDArray[np.int32] | None,
        meter: Meter,
    ) -> None:
        self._module, self._wrapped = module, wrapped
        self._pools, self._schedule, self._processes = pools, schedule, processes
        self._recipe, self._seed, self._device, self._remap = recipe, seed, device, remap
        self._meter = meter
        self.micro_tokens = recipe.micro_batch_tokens
        self._masks: list[Masking | None] = [masking_for(pool, recipe.mlm_probability) for pool in pools]

    def jobs(self, step: int) -> list[Job]:
        """This process's share of a step's batch, in micro-batches.

        A unit's weight is one over the units of its task in the whole step, times the task's share of the examples: the
        loss of a step does not depend on how it is cut.
        """
        shares = self._schedule.batch(step)
        examples = sum(len(share.positions) for share in shares)
        jobs: list[Job] = []
        for share in shares:
            pool = self._pools[share.task]
            batch = pool.batch(share.positions)
            masking = self._masks[share.task]
            if masking is not None:
                batch = masking.apply(batch, self._seed, step)
            weight = len(batch) / examples / max(1, self._training(share.task).units(batch))
            jobs += self._cut(share.task, batch, weight)
        return jobs

    def _cut(self, task: int, batch: HostBatch, weight: float) -> list[Job]:
        """This process's micro-batches of one task's examples; every process has the same number of them.

        A process that has fewer than others repeats an example with weight zero, so that all take part in every
        exchange. The batch of a loss over all of its examples (a dual head's) is not shared out.
        """
        world = self._processes.world
        if self._training(task).pull is not None:
            whole = self._processes.sharded
            parts = [batch] if whole else list(parts_by_tokens(batch, self.micro_tokens))
            return [Job(task=task, batch=part, weight=weight / world) for part in parts]
        bounds = np.linspace(0, len(batch), world + 1).round().astype(int).tolist()
        cuts = [
            list(parts_by_tokens(batch.part(low, high), self.micro_tokens)) if low < high else []
            for low, high in pairwise(bounds)
        ]
        mine = [Job(task=task, batch=part, weight=weight) for part in cuts[self._processes.rank]]
        idle = Job(task=task, batch=batch.part(0, 1), weight=0.0)
        return mine + [idle] * (max(len(cut) for cut in cuts) - len(mine))

    def accumulate(self, step: int, jobs: list[Job]) -> Tensor:
        """Adds a step's gradients to the parameters; returns its mean loss, a scalar on the device."""
        runs: list[list[tuple[int, Job]]] = []
        for number, job in enumerate(jobs):
            together = runs and self._training(job.task).pull is not None and runs[-1][-1][1].task == job.task
            (runs[-1].append((number, job)) if together else runs.append([(number, job)]))
        loss = torch.zeros((), device=self._device)
        for number, run in enumerate(runs):
            last = number == len(runs) - 1
            loss += self._cached(step, run, last) if len(run) > 1 else self._single(step, *run[0], last)
        return self._processes.total(loss)

    def _single(self, step: int, number: int, job: Job, last: bool) -> Tensor:
        """Forward and backward of one job; its weighted loss."""
        seed_part(self._device, self._seed, step, self._processes.rank, number)
        with self._syncing(last):
            batch = self._send(job)
            with autocast(self._device, self._recipe):
                loss: Tensor = self._wrapped(batch) * job.weight
            self._processes.backward(loss)
        return loss.detach()

    def _cached(self, step: int, run: list[tuple[int, Job]], last: bool) -> Tensor:
        """A loss over all examples of a batch that comes in parts (Gao et al. 2021, gradient caching).

        All parts' scores first, without gradients; then the loss's gradient with respect to them; then each part again
        with the same random numbers, its scores' gradient given.
        """
        parts: list[tuple[Tensor, dict[str, Tensor]]] = []
        with torch.no_grad():
            for number, job in run:
                seed_part(self._device, self._seed, step, self._processes.rank, number)
                batch = self._send(job)
                with autocast(self._device, self._recipe):
                    parts.append((self._module(batch, scores=True), batch.gold))
        scores, gold = joined(parts)
        leaf = scores.requires_grad_(True)
        with self._syncing(False):
            loss = self._module.loss(self._pools[run[0][1].task].name, leaf, gold) * run[0][1].weight
            self._processes.backward(loss)
        if leaf.grad is None:
            raise RuntimeError("the loss over the whole batch gave no gradient")
        low = 0
        for at, (number, job) in enumerate(run):
            seed_part(self._device, self._seed, step, self._processes.rank, number)
            with self._syncing(last and at == len(run) - 1):
                batch = self._send(job)
                with autocast(self._device, self._recipe):
                    part = self._wrapped(batch, leaf.grad[low : low + batch.tokens.sequences])
                part.backward()
            low += batch.tokens.sequences
        return loss.detach()

    def _training(self, task: int) -> Training:
        """How a task's head is trained."""
        return training_of(self._pools[task].spec.kind)

    def _syncing(self, last: bool) -> Any:
        """Gradients are exchanged in the last backward pass of a step, and only there."""
        return nullcontext() if last else self._processes.without_sync(self._wrapped)

    def _send(self, job: Job) -> DeviceBatch:
        """A job's batch on the device."""
        pool = self._pools[job.task]
        batch = on_device(pool.name, pool.spec.kind, job.batch, self._device, self._remap)
        self._meter.add(batch.tokens.lengths, len(job.batch))
        return batch
