"""The training loop: packed batches in, trained weights out, resumable at any moment."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xtreme_dag.core.context import StageContext, Stopped
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.model.adapters import Adapter, attach, detach
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.memory import ran_out_of_memory
from xtreme_dag.study.schedule import Schedule
from xtreme_dag.training.attending import attending
from xtreme_dag.training.checkpoints import Checkpoints
from xtreme_dag.training.memory import Shortage, beyond_the_batch, out_of_memory_advice, shortage_of
from xtreme_dag.training.numerics import autocast, part_seed, set_up
from xtreme_dag.training.objectives import LossModule
from xtreme_dag.training.optimiser import set_rate
from xtreme_dag.training.pools import Pool
from xtreme_dag.training.processes import Processes
from xtreme_dag.training.run import Outcome, Run, run_digest
from xtreme_dag.training.selection import Tracker, look
from xtreme_dag.training.speed import Meter, synchronise
from xtreme_dag.training.step import Stepper
from xtreme_dag.training.vocabulary import Trimmed, restore, shrink, trim

CHECKPOINT_SECONDS = 300.0
_LOG_STEPS = 50
_ON, _SAVE, _LEAVE = range(3)  # what follows a step: the next one, a checkpoint, a checkpoint and the end


def train(model: TrainedModel, run: Run, context: StageContext) -> Outcome:
    """Trains the model in place.

    Args:
        model: with a head for every pool, its weights initialised.
        run: what is trained on what.
        context: `scratch` holds the checkpoints; started again with the same scratch, a killed run ends with the same
            weights. `options`: device, threads, cuda, checkpoint_steps, checkpoint_seconds, log_steps. Asked to stop,
            it writes a checkpoint after the step that it is in.

    Returns:
        The outcome. With a selection set the model has the weights of the best look, else the last.

    Raises:
        UserError: the loss is not finite, or memory ran out.
        Stopped: it was asked to stop, and goes on from its checkpoint next time.
    """
    return Trainer(model, run, context).run()


class Trainer:
    """One run of the loop; see `train`."""

    def __init__(self, model: TrainedModel, run: Run, context: StageContext) -> None:
        self.model, self.spec, self.context = model, run, context
        self.recipe = run.recipe
        self.device = set_up(context.options, run.recipe)
        self.processes = Processes(run.recipe, self.device, len(run.pools), model.encoder.layer_class)
        self.schedule = Schedule(
            [len(pool) for pool in run.pools],
            seed=run.seed,
            batch_size=self.recipe.batch_size,
            epochs=self.recipe.epochs,
            steps=self.recipe.steps,
            mixing=self.recipe.mixing,
        )
        self.trimmed = self._trim()
        self.remap = None if self.trimmed is None else self.trimmed.remap
        self.attending = attending(model.encoder, self.device, self.recipe)
        self.tuned: Any = None
        self._prepare_model()
        self.loss_module = LossModule(model)
        self.module, self.optimiser = self.processes.prepare(self.loss_module)
        self.parameters = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.checkpoints = Checkpoints(context.scratch / "checkpoints", run_digest(run, self.schedule.steps))
        self.tracker = Tracker(patience=self.recipe.patience)
        self.losses = torch.zeros(self.schedule.steps, device=self.device)
        self.halved: list[int] = []
        reduced = not isinstance(autocast(self.device, self.recipe), nullcontext)
        self.meter = Meter(model.encoder, self.device, reduced=reduced, frozen=self.tuned is not None)
        self.stepper = Stepper(
            self.loss_module,
            self.module,
            pools=run.pools,
            schedule=self.schedule,
            processes=self.processes,
            recipe=self.recipe,
            seed=run.seed,
            device=self.device,
            remap=self.remap,
            meter=self.meter,
        )

    def run(self) -> Outcome:
        """All steps, from the last checkpoint on."""
        first = self._resume()
        if self.processes.main:
            for line in (*self.attending.notes, *(f"not as in the recipe: {each}" for each in self.attending.changes)):
                self.context.log(line)
        log_steps = int(self.context.options.get("log_steps", _LOG_STEPS))
        saved = started = time.monotonic()
        self.model.train()
        done = first
        while done < self.schedule.steps and not self.tracker.exhausted:
            self._step(done)
            done += 1
            if self.spec.selection and (done % self.recipe.select_every == 0 or done == self.schedule.steps):
                self._look(done)
            if done % log_steps == 0 or done == self.schedule.steps:
                self._report(done)
            # All processes must save after the same step: the first one's clock and orders are for all of them.
            follows = self.processes.agreed(self._follows(done, time.monotonic() - saved))
            if follows != _ON and done < self.schedule.steps:
                self._save(done)
                saved = time.monotonic()
                if follows == _LEAVE:
                    raise Stopped(f"stopped after step {done} of {self.schedule.steps}, with a checkpoint")
        synchronise(self.device)
        spent = time.monotonic() - started
        return self._finish(done, spent)

    def _follows(self, done: int, seconds: float) -> int:
        """What this process would do after a step, `seconds` after its last checkpoint."""
        if self.context.stopping():
            return _LEAVE
        options = self.context.options
        if every := options.get("checkpoint_steps"):
            return _SAVE if done % int(every) == 0 else _ON
        return _SAVE if seconds > float(options.get("checkpoint_seconds", CHECKPOINT_SECONDS)) else _ON

    def _step(self, step: int) -> None:
        """One optimizer step; out of memory, at half the micro-batch if the recipe says so."""
        while (shortage := self._accumulate(step)) is not None:
            self._halve(step, shortage)
        set_rate(self.optimiser, self.recipe.rate(step, self.schedule.steps))
        with beyond_the_batch(f"the optimizer's step {step}"):
            if self.recipe.max_grad_norm:
                torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.max_grad_norm)
            self.optimiser.step()

    def _accumulate(self, step: int) -> Shortage | None:
        """Gradients of a step; what happened, if memory ran out."""
        with beyond_the_batch(f"putting the batch of step {step} together"):
            jobs = self.stepper.jobs(step)
        self.optimiser.zero_grad(set_to_none=True)
        try:
            self.losses[step] = self.stepper.accumulate(step, jobs)
        except (RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error):
                raise
            return shortage_of([job.batch for job in jobs], str(error))
        return None

    def _halve(self, step: int, shortage: Shortage) -> None:
        """Halves the micro-batch after running out of memory, or says what to lower."""
        possible = shortage.examples > 1 and self.processes.world == 1
        if self.recipe.out_of_memory == "fail" or not possible:
            raise out_of_memory_advice(step, shortage, halving=possible)
        self.optimiser.zero_grad(set_to_none=True)
        # Recorded anew and not left out: a run that resumes from here records too, and must end with the same weights.
        self.model.encoder.record_anew()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.stepper.micro_tokens = shortage.tokens // 2
        self.halved.append(step)
        self.context.log(
            f"out of memory at step {step}: micro-batches of at most {self.stepper.micro_tokens} tokens from here"
        )

    def _look(self, done: int) -> None:
        """Scores dev; keeps the weights if they are the best so far."""
        with beyond_the_batch(f"the look at dev after step {done}"):
            figures = look(self.loss_module, self.spec.selection, self.device, self.remap, self.recipe.mlm_probability)
        if self.tracker.record(done, figures):
            weights = self.processes.weights(self.loss_module)
            if self.processes.main:
                self.checkpoints.save_best(weights)

    def _report(self, done: int) -> None:
        """Progress and speed; the only place where the loop waits for the device."""
        recent = self.losses[max(0, done - _LOG_STEPS) : done].mean().item()
        if not np.isfinite(recent):
            raise UserError(
                f"the loss is not finite (before step {done})",
                where="training",
                fix="lower the learning rate, lengthen the warmup, or use precision: fp32",
            )
        self.context.progress(done, self.schedule.steps, loss=recent, **self.meter.read())

    def _save(self, done: int) -> None:
        """A checkpoint."""
        weights = self.processes.weights(self.loss_module)
        moments = self.processes.moments(self.loss_module, self.optimiser)
        if self.processes.main:
            state = {
                "looks": self.tracker.history,
                "best_step": self.tracker.best_step,
                "micro_tokens": self.stepper.micro_tokens,
                "halved": self.halved,
            }
            folder = self.checkpoints.save(done, {**weights, "losses": self.losses}, moments, state)
            self.context.listen({"event": "checkpoint", "folder": f"checkpoints/{folder.name}"})

    def _resume(self) -> int:
        """The step to go on from; the state of the last checkpoint is put back."""
        checkpoint = self.checkpoints.latest()
        self.processes.wait()
        if self.processes.main:
            self.checkpoints.rewind(checkpoint)
        if checkpoint is None:
            return 0
        weights = dict(checkpoint.weights)
        self.losses = weights.pop("losses").to(self.device)
        self.processes.load(self.loss_module, self.optimiser, weights, checkpoint.optimiser)
        state = checkpoint.state
        self.tracker.history, self.tracker.best_step = state["looks"], state["best_step"]
        self.stepper.micro_tokens, self.halved = state["micro_tokens"], state["halved"]
        self.context.log(f"resumed at step {state['step']} of {self.schedule.steps}")
        return int(state["step"])

    def _finish(self, done: int, seconds: float) -> Outcome:
        """The best weights back, the vocabulary whole again."""
        graphs = self.model.encoder.graphs
        self.model.encoder.forget_graphs()
        kept = done
        weights: dict[str, Tensor] | None = None
        if self.tracker.best_step is not None:
            kept = self.tracker.best_step
            self.processes.wait()
            weights = self.checkpoints.load_best()
        if self.processes.sharded:
            self._put_together(weights or self.processes.weights(self.loss_module))
        elif weights is not None:
            self.processes.load_weights(self.loss_module, weights)
        if self.trimmed is not None:
            restore(self.model.encoder, self.trimmed, self.recipe, kept, self.schedule.steps)
        adapter = self._detached()
        self.model.eval()
        return Outcome(
            steps=self.schedule.steps,
            done=done,
            kept=kept,
            losses=self.losses[:done].cpu().numpy(),
            looks=self.tracker.history,
            figures={
                "seconds": seconds,
                "tokens_per_s": self.meter.total_tokens / max(seconds, 1e-9),
                "examples_per_s": self.meter.total_examples / max(seconds, 1e-9),
                "device": self.device.type,
                "processes": self.processes.world,
                "attention": self.attending.backend,
                "cuda_graphs": graphs,
                "recipe_changes": list(self.attending.changes),
                "micro_batch_halved_at": self.halved,
                "parameters_trained": sum(each.numel() for each in self.parameters),
                "embedding_rows_trained": len(self.model.encoder.word_embeddings())
                if self.trimmed is None
                else len(self.trimmed.kept),
            },
            adapter=adapter,
        )

    def _detached(self) -> Adapter | None:
        """Merges what was trained beside the encoder into it; the adapter, if that is what is to be stored."""
        if self.tuned is None:
            return None
        # On the CPU, as an adapter is merged when it is loaded: on either way the weights are the same to the bit.
        self.model.to("cpu")
        adapter = detach(self.model.encoder, self.tuned)
        return None if self.recipe.lora is None or self.recipe.lora.merge else adapter

    def _put_together(self, weights: dict[str, Tensor]) -> None:
        """Replaces the model's sharded parts by whole ones."""
        plain = TrainedModel(new_encoder(self.model.encoder.config, 0), self.model.specs)
        if self.trimmed is not None:
            shrink(plain.encoder, self.trimmed)
        LossModule(plain).load_state_dict(weights)
        self.model.encoder, self.model.heads = plain.encoder, plain.heads

    def _trim(self) -> Trimmed | None:
        """Leaves unused embedding rows out, unless a head needs the whole vocabulary or no row trains."""
        whole = any(self.model.head(name).over_vocabulary for name in self.model.specs)
        if whole or self.recipe.lora is not None or not self.recipe.trim_vocabulary:
            return None
        pools: Sequence[Pool] = (*self.spec.pools, *self.spec.selection)
        return trim(self.model.encoder, [part.table for pool in pools for part in pool.parts])

    def _prepare_model(self) -> None:
        """Dropout, the adapter, activation checkpointing and the device."""
        if self.recipe.dropout is not None:
            for module in self.model.modules():
                if isinstance(module, nn.Dropout):
                    module.p = self.recipe.dropout
        if self.recipe.lora is not None:
            self.tuned = attach(self.model.encoder, self.recipe.lora, part_seed(self.spec.seed, -1, 0, 0))
        if self.recipe.activation_checkpointing:
            backbone: Any = self.model.encoder.backbone
            backbone.gradient_checkpointing_enable({"use_reentrant": False})
        self.model.to(self.device)
        if self.attending.backend not in ("varlen", "flash"):
            return
        how = self.context.options.get("cuda", "graphs")
        if how == "compile":
            self.model.encoder.compile_layers()
        # Gradients of a graph go past autograd's hooks, by which several processes exchange them. Frozen embeddings ask
        # for none, and a graph's backward pass would never be called.
        alone = self.processes.world == 1 and self.tuned is None
        if how == "graphs" and alone and not self.recipe.activation_checkpointing:
            self.model.encoder.graph_layers()
