"""Hyperparameters of a training run, typed, with defaults that are usual in the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, Strict, model_validator
from pydantic.dataclasses import dataclass

from xtreme_dag.study.settings import STRICT, checked, within

Whole = Annotated[int, Field(gt=0, lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
# Products of several of these are still numbers.
Positive = Annotated[float, Field(gt=0, le=1e30)]
NotNegative = Annotated[float, Field(ge=0, le=1e30)]
Share = Annotated[float, within(lambda value: 0 < value < 1, "between 0 and 1")]

# Floating-point operations for each weight of the layers and token: two in the forward pass, two for the gradients of
# the states and two for those of the weights (Kaplan et al. 2020, section 2.1), of which frozen weights have none.
TRAIN_OPERATIONS, FROZEN_OPERATIONS = 6, 4
STORED_BYTES = {"fp32": 4, "bf16": 2}  # of a parameter, by `storage`


# As strict as others, but for one thing: a mapping may stand for it inside a recipe.
@dataclass(frozen=True, kw_only=True, config=ConfigDict(**{**STRICT, "strict": False}))
class Lora:
    """Low-rank adaptation (Hu et al. 2022): the encoder stays as it is, and products of two small matrices are trained.

    A linear layer W gets `alpha / rank * B A` beside it, A with `rank` rows and B, which starts at zero, with `rank`
    columns. Heads are trained in full.

    Attributes:
        rank: of the products.
        alpha: the products' factor, times the rank.
        dropout: of what the products read.
        targets: names of the linear layers that get one (`query`, `value`, `dense`), or `all-linear` for all of the
            encoder's; None for those that peft takes for the architecture (for BERT's kin `query` and `value`).
        merge: true to add the products to the encoder at the end, so that the model is like any other; false to store
            the adapter alone, which is added whenever the model is loaded.
    """

    rank: Annotated[Whole, Strict()] = 8
    alpha: Annotated[Positive, Strict()] = 16.0
    dropout: Annotated[float, Strict(), within(lambda value: 0 <= value < 1, "in [0, 1)")] = 0.0
    targets: Annotated[tuple[Annotated[str, Strict()], ...], Field(min_length=1)] | Literal["all-linear"] | None = None
    merge: Annotated[bool, Strict()] = True


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainRecipe:
    """How a model is trained. The defaults are jiant's for XTREME (Phang et al. 2020) unless said otherwise.

    Attributes:
        learning_rate: peak of the schedule.
        head_learning_rate: the heads' own, the same as the encoder's if not given; new layers may want a hundred times
            the encoder's, as in the reference for Multilingual WoZ (1e-3 beside 1e-5).
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
        select_every: optimizer steps between two evaluations on dev (looks), in the source language or else in English; 0
            for never.
        select_examples: how many dev examples are looked at, the first ones.
        patience: looks without improvement after which training ends; 0 for never.
        precision: `bf16` autocast over fp32 weights, `fp32`, or `auto`: bf16 on CUDA, fp32 elsewhere.
        tf32: allows TF32 in fp32 matrix products on CUDA.
        trim_vocabulary: trains only the embedding rows that the data use; the others decay as they would have.
        activation_checkpointing: recomputes activations in the backward pass, for less memory.
        out_of_memory: `fail` with advice, or `halve` the micro-batch and repeat the step.
        devices: processes that share each batch, one device each.
        strategy: `ddp` replicates the model, `fsdp` shards it.
        storage: how the encoder's weights are stored when it is trained: `fp32`, or `bf16`, rounded to half the size.
            Training itself, its checkpoints and so its resume stay in fp32; heads do too.
        lora: trains low-rank products beside the encoder's layers in place of the encoder, see `Lora`.
    """

    learning_rate: Positive = 1e-5
    head_learning_rate: Positive | None = None
    batch_size: Whole = 32
    micro_batch_tokens: Whole | None = None
    epochs: Annotated[Positive, Field(lt=1e9)] = 3.0
    steps: Whole | None = None
    warmup: Annotated[NotNegative, within(lambda value: value < 1 or value == int(value), "a share or whole steps")] = (
        0.1
    )
    schedule: Literal["linear", "constant"] = "linear"
    weight_decay: NotNegative = 0.01
    max_grad_norm: NotNegative = 1.0
    beta1: Share = 0.9
    beta2: Share = 0.999
    epsilon: Positive = 1e-8
    dropout: Annotated[float, within(lambda value: 0 <= value < 1, "in [0, 1)")] | None = None
    mlm_probability: Share = 0.15
    mixing: Literal["step", "within"] = "step"
    select_every: Count = 0
    select_examples: Whole = 500
    patience: Count = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    tf32: bool = False
    trim_vocabulary: bool = True
    activation_checkpointing: bool = False
    out_of_memory: Literal["fail", "halve"] = "fail"
    devices: Whole = 1
    strategy: Literal["ddp", "fsdp"] = "ddp"
    storage: Literal["fp32", "bf16"] = "fp32"
    lora: Lora | None = None

    @model_validator(mode="after")
    def _consistent(self) -> TrainRecipe:
        if self.lora is not None and self.strategy == "fsdp":
            raise ValueError("lora trains too little to be sharded: take strategy: ddp")
        if self.lora is not None and not self.lora.merge and self.storage == "bf16":
            raise ValueError("with lora.merge: false no encoder is stored, so that storage: bf16 has nothing to round")
        return self

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrainRecipe:
        """A recipe from JSON values; see `xtreme_dag.study.settings.checked`."""
        return checked(cls, params, where="recipe")

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
