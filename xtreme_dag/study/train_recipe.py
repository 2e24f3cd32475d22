"""The recipe of a training run: every number that steers it, typed, with the field's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from xtreme_dag.core.errors import UserError, nearest

_CHOICES = {
    "schedule": ("linear", "constant"),
    "precision": ("auto", "fp32", "bf16"),
    "mixing": ("step", "within"),
    "out_of_memory": ("fail", "halve"),
    "strategy": ("ddp", "fsdp"),
}


@dataclass(frozen=True, kw_only=True)
class TrainRecipe:
    """How a model is trained. The defaults are jiant's for XTREME (Phang et al. 2020) unless said otherwise.

    Attributes:
        learning_rate: peak of the schedule.
        batch_size: examples per optimizer step, over all devices and micro-batches.
        micro_batch_tokens: tokens that one forward pass takes at most (at least one example), None for the whole batch.
        epochs: passes over the drawn examples.
        steps: optimizer steps; takes the place of `epochs` when given.
        warmup: optimizer steps of linear warmup; a share of all steps when below 1.
        schedule: after the warmup, `linear` decay to zero or `constant`.
        weight_decay: decoupled; not on biases and norms.
        max_grad_norm: gradients are clipped to this norm once per optimizer step; 0 for never.
        beta1: AdamW.
        beta2: AdamW.
        epsilon: AdamW.
        dropout: takes the place of the encoder's own dropout probabilities, None to keep them.
        mlm_probability: share of tokens that masked language modelling predicts (Devlin et al. 2019).
        mixing: several tasks: `step`, one task per step, or `within`, mixed within a step.
        select_every: optimizer steps between two looks at English dev; 0 for never.
        select_examples: how many dev examples are looked at, the first ones.
        patience: looks without improvement after which training ends; 0 for never.
        precision: `bf16` autocast over fp32 weights, `fp32`, or `auto`: bf16 on CUDA, fp32 elsewhere.
        tf32: allows TF32 in fp32 matrix products on CUDA.
        trim_vocabulary: trains only the embedding rows that the data use; the others decay as they would have.
        activation_checkpointing: recomputes activations in the backward pass, for less memory.
        out_of_memory: `fail` with advice, or `halve` the micro-batch and repeat the step.
        devices: processes that share each batch, one device each.
        strategy: `ddp` replicates the model, `fsdp` shards it.
    """

    learning_rate: float = 1e-5
    batch_size: int = 32
    micro_batch_tokens: int | None = None
    epochs: float = 3.0
    steps: int | None = None
    warmup: float = 0.1
    schedule: str = "linear"
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    dropout: float | None = None
    mlm_probability: float = 0.15
    mixing: str = "step"
    select_every: int = 0
    select_examples: int = 500
    patience: int = 0
    precision: str = "auto"
    tf32: bool = False
    trim_vocabulary: bool = True
    activation_checkpointing: bool = False
    out_of_memory: str = "fail"
    devices: int = 1
    strategy: str = "ddp"

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrainRecipe:
        """A recipe from JSON values.

        Raises:
            UserError: an unknown key, a value of the wrong type or outside its range; it names the key.
        """
        kinds = {field.name: str(field.type) for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in params.items():
            if name not in kinds:
                raise UserError(f"there is no key {name!r}", where="recipe", fix=nearest(name, kinds))
            values[name] = _typed(name, value, kinds[name])
        recipe = cls(**values)
        recipe._check()
        return recipe

    def _check(self) -> None:
        """Ranges and choices."""
        for name, valid in _CHOICES.items():
            value = getattr(self, name)
            if value not in valid:
                raise UserError(f"{value!r} is not one of {', '.join(valid)}", where=f"recipe: {name}")
        for name in ("learning_rate", "batch_size", "epochs", "epsilon", "devices", "select_examples"):
            _need(getattr(self, name) > 0, name, getattr(self, name), "positive")
        for name in ("micro_batch_tokens", "steps"):
            _need(getattr(self, name) is None or getattr(self, name) > 0, name, getattr(self, name), "positive")
        for name in ("warmup", "weight_decay", "max_grad_norm", "select_every", "patience"):
            _need(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")
        for name in ("beta1", "beta2", "mlm_probability"):
            _need(0 < getattr(self, name) < 1, name, getattr(self, name), "between 0 and 1")
        _need(self.dropout is None or 0 <= self.dropout < 1, "dropout", self.dropout, "in [0, 1)")
        _need(self.warmup < 1 or self.warmup == int(self.warmup), "warmup", self.warmup, "a share or whole steps")

    def warmup_steps(self, steps: int) -> int:
        """Steps of warmup in a run of `steps`."""
        return int(self.warmup) if self.warmup >= 1 else int(self.warmup * steps)

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of optimizer step `step` (from 0) of `steps`; transformers' linear schedule."""
        warmup = self.warmup_steps(steps)
        if step < warmup:
            return self.learning_rate * step / warmup
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * max(0.0, (steps - step) / max(1, steps - warmup))


def _typed(name: str, value: Any, kind: str) -> Any:
    """The value, whole numbers accepted for reals; an error that names the key for any other mismatch."""
    optional = kind.endswith("| None")
    base = kind.removesuffix(" | None")
    if value is None and optional:
        return None
    if base == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if base == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if (base == "bool" and isinstance(value, bool)) or (base == "str" and isinstance(value, str)):
        return value
    wanted = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a word"}[base]
    raise UserError(f"{value!r} is not {wanted}", where=f"recipe: {name}")


def _need(holds: bool, name: str, value: Any, wanted: str) -> None:
    """Raises unless the condition holds."""
    if not holds:
        raise UserError(f"{value} is not {wanted}", where=f"recipe: {name}")
