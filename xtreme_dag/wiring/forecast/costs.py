"""Estimates the GPU hours of a study.

Training a token takes 6 floating-point operations per parameter (2 forward, 4 backward), reading one takes 2 (Kaplan
et al. 2020, section 2.1); beside an adapter the parameters have no gradients, and a token takes 4. Parameters being those of the layers without the embeddings. How much of its own rate a
device does depends on the tokens of a step, and was measured on one H100 (docs/training.md); reading, which was not
measured, counts as the largest step, since its batches are large.
Tokens are counted where tables are encoded; elsewhere they are published examples times half of the maximal length.
Where the division of a budget depends on a size that is not published, its tables count alike.
A training whose settings a grid is to choose counts as the longest of the trials.
Attention over long texts, model selection, translation, data preparation and loading are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from xtreme_dag.core.files import sha256_of
from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.engine.plan import CACHED, Plan
from xtreme_dag.study.file import Study
from xtreme_dag.study.train_recipe import FROZEN_OPERATIONS, TRAIN_OPERATIONS, TrainRecipe
from xtreme_dag.wiring.forecast.composition import Row
from xtreme_dag.wiring.forecast.shapes import shape_of_model
from xtreme_dag.wiring.forecast.sizes import Sizes, total
from xtreme_dag.wiring.kinds import ENCODE, EVALUATE, INTERMEDIATE, SEARCH, TARGET, TRANSLATE, TRIAL

READ_OPERATIONS = 2
# Measured on one NVIDIA H100 (80 GB) with an encoder of 24 layers x 1,024: its rate at a large product of bf16 matrices,
# and the share of it that training does: (tokens of a step, share). docs/training.md has the measurement.
DEVICE, RATE = "H100", 782e12
MEASURED = ((32 * 39, 0.13), (32 * 167, 0.28), (256 * 39, 0.30))


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An estimate.

    Attributes:
        hours: on one device; None if the model's size is not known.
        training_tokens: tokens that training reads, all passes.
        adapter_tokens: those of them that train adapters.
        reading_tokens: tokens that evaluation reads.
        parameters: of the encoder's layers; None if not known.
        utilisation: the share of the device's rate, over all of it.
        left_out: stages whose tables have no known size.
        unknown: dataset or condition -> how many of those are its.
        translations: tables that a model would translate, whose cost is not in it.
    """

    hours: float | None
    training_tokens: int
    adapter_tokens: int
    reading_tokens: int
    parameters: int | None
    utilisation: float
    left_out: int
    unknown: Mapping[str, int]
    translations: int

    def in_words(self) -> str:
        """One line for people."""
        if self.hours is None:
            return "GPU hours: unknown, for the size of the model is not known"
        words = (
            f"about {self.hours:,.1f} GPU hours on one {DEVICE}"
            if self.hours >= 0.05
            else f"under 0.05 GPU hours on one {DEVICE}"
        )
        which = ", ".join(f"{name} {count}" for name, count in self.unknown.items())
        left = f"; {self.left_out} stages of unknown size left out: {which}" if self.left_out else ""
        adapters = f"{self.adapter_tokens:,} x {FROZEN_OPERATIONS} + " if self.adapter_tokens else ""
        left += f"; {self.translations} tables to translate left out" if self.translations else ""
        return (
            f"estimate: {words} ({self.training_tokens - self.adapter_tokens:,} tokens x {TRAIN_OPERATIONS} + {adapters}"
            f"{self.reading_tokens:,} x {READ_OPERATIONS}, x {self.parameters:,} parameters, at {self.utilisation:.0%} of {RATE / 1e12:.0f} TFLOP/s{left})"
        )


def cost(study: Study, graph: Graph, plan: Plan, sizes: Sizes, rows: tuple[Row, ...]) -> Cost:
    """The estimate for the stages that are not cached."""
    by_condition = {row.name: row for row in rows}
    same = same_work(graph)
    seen: set[str] = set()
    trained = adapted = read = translations = 0
    work = 0.0  # operations for each parameter, at the device's full rate
    unknown: Counter[str] = Counter()
    for stage in graph:
        planned = plan.by_name.get(stage.name)
        if (planned is not None and planned.status == CACHED) or same[stage.name] in seen:
            continue
        seen.add(same[stage.name])
        tokens: int | None = 0
        if stage.of is INTERMEDIATE or (stage.of in (TARGET, TRIAL) and "train" in stage.inputs):
            tokens = (
                _drawn(stage, by_condition[stage.labels["condition"]], sizes)
                if stage.of is INTERMEDIATE
                else _passes(stage, graph, sizes)
            )
            beside = bool(stage.params["recipe"].get("lora"))
            trained += tokens or 0
            adapted += (tokens or 0) if beside else 0
            operations = FROZEN_OPERATIONS if beside else TRAIN_OPERATIONS
            work += operations * (tokens or 0) / utilisation(_step(stage, sizes))
        elif stage.of in (SEARCH, EVALUATE) and "ranked" not in stage.inputs:
            # The texts of a pooled task are read by its search.
            read_by = [made.stage for made in stage.inputs.values() if isinstance(made, Output)]
            tokens = total(sizes.of(name).tokens for name in read_by if graph[name].of is ENCODE)
            read += tokens or 0
            work += READ_OPERATIONS * (tokens or 0) / MEASURED[-1][1]
        elif stage.of is TRANSLATE:
            translations += stage.params.get("by") == "model"
        if tokens is None:
            unknown[str(stage.labels.get("dataset") or stage.labels.get("task") or stage.labels["condition"])] += 1
    parameters = shape_of_model(study, graph).layer_parameters
    done = TRAIN_OPERATIONS * (trained - adapted) + FROZEN_OPERATIONS * adapted + READ_OPERATIONS * read
    return Cost(
        hours=None if parameters is None else parameters * work / RATE / 3600,
        utilisation=done / work if work else MEASURED[-1][1],
        training_tokens=trained,
        adapter_tokens=adapted,
        reading_tokens=read,
        parameters=parameters,
        left_out=unknown.total(),
        unknown=dict(unknown.most_common()),
        translations=translations,
    )


def utilisation(tokens: float) -> float:
    """The share of its rate that a device does at a number of tokens a step: between measured ones, in a line."""
    for (few, low), (many, high) in pairwise(MEASURED):
        if tokens <= many:
            return low + (high - low) * max(0.0, tokens - few) / (many - few)
    return MEASURED[-1][1]


def _step(stage: Stage, sizes: Sizes) -> float:
    """Tokens of an optimizer step of a training, by the mean lengths of its tables."""
    tables = [sizes.of(table.stage).mean for name, table in stage.inputs.items()
              if name.partition("/")[0] == "train" and isinstance(table, Output)]  # fmt: skip
    return TrainRecipe.from_params(stage.params["recipe"]).batch_size * sum(tables) / max(1, len(tables))


def same_work(graph: Graph) -> dict[str, str]:
    """Stage -> hash of its function, parameters and inputs: stages that conditions share run once."""
    found: dict[str, str] = {}
    for stage in graph:
        inputs = {
            name: [found[source.stage], source.part] if isinstance(source, Output) else [str(source.path)]
            for name, source in stage.inputs.items()
        }
        found[stage.name] = sha256_of([stage.function, dict(stage.params), inputs])
    return found


def _drawn(stage: Stage, row: Row, sizes: Sizes) -> int | None:
    """Tokens of one run on a mixture, all epochs."""
    recipe = TrainRecipe.from_params(stage.params["recipe"])
    parts = [part for part in row.parts if part.step == stage.step]
    steps = recipe.steps or stage.params["budget"].get("steps")
    if any(part.tokens is None for part in parts):
        examples = steps * recipe.batch_size if steps else stage.params["budget"].get("examples")
        if examples is None:
            return None
        tables = [sizes.of(table.stage) for name, table in stage.inputs.items()
                  if name.startswith("train/") and isinstance(table, Output)]  # fmt: skip
        tokens = round(examples * sum(table.mean for table in tables) / len(tables))
    else:
        tokens = sum(part.tokens or 0 for part in parts)
        examples = sum(part.examples or 0 for part in parts)
    passes = steps * recipe.batch_size / examples if steps and examples else recipe.epochs
    return round(tokens * passes)


def _passes(stage: Stage, graph: Graph, sizes: Sizes) -> int | None:
    """Tokens of one target training, all epochs; the most of what a grid may choose for it."""
    tables = [sizes.of(table.stage) for name, table in stage.inputs.items()
              if name.partition("/")[0] == "train" and isinstance(table, Output)]  # fmt: skip
    tokens, examples = total(size.tokens for size in tables), total(size.examples for size in tables)
    if tokens is None or not examples:
        return None
    choice = stage.inputs.get("choice")
    trials = graph[choice.stage].params["trials"] if isinstance(choice, Output) else [{}]
    recipes = [TrainRecipe.from_params({**stage.params["recipe"], **settings}) for settings in trials]
    return round(
        tokens * max(each.steps * each.batch_size / examples if each.steps else each.epochs for each in recipes)
    )
