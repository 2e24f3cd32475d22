"""The conditions of a study file: what is trained on before the target task, how much of it, and in what order."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.study.budget import Sampling

NAME = r"^[a-z0-9][a-z0-9_+-]*$"


def _written_as_one(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("is not a number")
    return value


# Of a number in the study file: `yes` and texts are none, though they could be read as such.
NUMBER = BeforeValidator(_written_as_one)
Positive = Annotated[int, NUMBER, Field(gt=0, lt=2**63)]
Share = Annotated[float, NUMBER, Field(gt=0)]
_LEAST_TEMPERATURE = 0.1  # sizes to the power of ten


class Section(BaseModel):
    """A mapping of the study file: no unknown keys, no changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)


class Budget(Section):
    """How much intermediate training a condition gets: the control that the research question needs.

    `budget: all` takes all there is: right for the replication of a paper, no control for a comparison.

    Attributes:
        examples: that are drawn, once each, and seen `epochs` times.
        tokens: likewise.
        steps: of the optimizer.
        everything: what `budget: all` stands for.
    """

    examples: Positive | None = None
    tokens: Positive | None = None
    steps: Positive | None = None
    everything: Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"everything": True} if value == "all" else value

    @model_validator(mode="after")
    def _one_unit(self) -> Budget:
        given = (self.examples, self.tokens, self.steps, self.everything)
        if sum(value is not None for value in given) != 1:
            raise ValueError("give one of examples, tokens, steps, or `all`")
        return self

    def params(self) -> dict[str, int]:
        """Unit -> amount, as the training stage reads it; empty for all there is."""
        return self.model_dump(exclude_none=True, exclude={"everything"})


def _of_sizes(sampling: Sampling) -> Sampling:
    """A rule that a study may name: shares are stated in the mixture, `uniform` is the temperature without end."""
    if sampling.rule == "shares":
        raise ValueError("shares are stated with the components, `rule` is proportional, temperature or uniform")
    if (sampling.temperature is not None) != (sampling.rule == "temperature"):
        raise ValueError("`temperature` belongs to the rule temperature, which needs it")
    if sampling.temperature is not None and math.isinf(sampling.temperature):
        raise ValueError("an infinite temperature is `rule: uniform`")
    if sampling.temperature is not None and sampling.temperature < _LEAST_TEMPERATURE:
        raise ValueError(f"a temperature below {_LEAST_TEMPERATURE} leaves all but the largest out")
    return sampling


# How a budget is divided where shares are not stated.
SizeSampling = Annotated[Sampling, AfterValidator(_of_sizes)]


class Origin(Section):
    """Where a model is from: a folder, or a hub id at a commit.

    Attributes:
        folder: a folder in the layout of the hub.
        hub: `owner/name` on the hub.
        revision: the full commit id.
    """

    folder: str | None = None
    hub: str | None = None
    revision: str | None = None

    @model_validator(mode="after")
    def _pinned(self) -> Origin:
        # Without a revision it is refused where a network can tell the newest one (`wiring.snapshots`).
        if self.hub is not None and self.revision is not None and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise ValueError("a hub model needs `revision`: the full commit id (40 hexadecimal digits), not a branch")
        return self


class Pretrained(Origin):
    """A sequence-to-sequence model."""

    @model_validator(mode="after")
    def _one_origin(self) -> Pretrained:
        if (self.folder is None) == (self.hub is None):
            raise ValueError("name one of folder, hub")
        return self


class Translation(Section):
    """English data, machine-translated: by the miniworld's `lexicon`, or by a sequence-to-sequence `model`.

    Attributes:
        by: the miniworld's word list, or a model.
        model: one model for all languages.
        models: language -> its model (Marian has one for each pair).
        codes: language -> the model's own token of it (NLLB, M2M100: `deu_Latn`): of each language that is written, and of
            those that tests are read in.
        beams: width of the beam search; 1 is greedy.
        max_length: tokens of a translation at most.
        rows: rows that are translated at most, a sample that is the same for all languages.
    """

    by: Literal["lexicon", "model"]
    model: Pretrained | None = None
    models: Mapping[str, Pretrained] = Field(default_factory=dict)
    codes: Mapping[str, str] = Field(default_factory=dict)
    beams: Positive = 1
    max_length: Positive = 256
    rows: Positive | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_model(self) -> Translation:
        if (self.by == "model") != (self.model is not None or bool(self.models)):
            raise ValueError("`by: model` needs `model` or `models`, `by: lexicon` takes neither")
        if self.model is not None and self.models:
            raise ValueError("give `model` or `models`, not both")
        return self

    def model_of(self, language: str) -> Pretrained | None:
        """The model that translates into a language, or tests from it; None for the lexicon.

        Raises:
            UserError: no model is named for the language.
        """
        if self.by == "lexicon" or self.model is not None:
            return self.model
        if language not in self.models:
            raise UserError(
                f"no model translates {language!r}", where="translated.models", fix=nearest(language, self.models)
            )
        return self.models[language]


ObjectiveName = Literal["mlm", "tlm", "tlm_chat", "monodm", "xdm", "response"]
# What may be made of parallel text only; `mlm` takes the text of any dataset.
PARALLEL_OBJECTIVES = ("tlm", "tlm_chat", "monodm", "xdm", "response")


class Objective(Section):
    """Training without labels; see `xtreme_dag.data.derive.objectives` for what each name means.

    Attributes:
        name: the objective.
        chunks: dialogue chunks per language; passes over the text repeat until there are so many.
        seed: of the chunks.
    """

    name: ObjectiveName
    chunks: Positive | None = None
    seed: Annotated[int, NUMBER, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _chunks_fit(self) -> Objective:
        if self.chunks is not None and self.name in ("mlm", "tlm"):
            raise ValueError(f"{self.name} takes sentences: it has no chunks")
        return self


class Component(Section):
    """One dataset in a mixture, in one language or several.

    Attributes:
        dataset: its name in the catalogue.
        languages: a list (equal shares) or a mapping language -> share of this component; with `sampling`, a list whose
            shares follow from the sizes.
        split: the split that is trained on.
        share: of the mixture; the shares of a mixture sum to 1.
        task: components of one task share a head; the dataset's name where it is not given.
        objective: training without labels, in place of the dataset's task.
        translated: the data are made from the English ones.
        items_of: the dataset whose ids this one has (a translation of it), so that its items are drawn as those are.
        sampling: divides the share among the languages by their sizes.
    """

    dataset: str
    languages: tuple[str, ...] | Mapping[str, Share] = (ENGLISH,)
    split: str = "train"
    share: Share = 1.0
    task: Annotated[str, Field(pattern=NAME)] | None = None
    objective: Objective | None = None
    translated: Translation | None = None
    items_of: str | None = None
    sampling: SizeSampling | None = None

    def shares(self) -> dict[str, float]:
        """Language -> share of this component; they sum to 1 (equal parts where a sampling rule divides it)."""
        if isinstance(self.languages, Mapping):
            return dict(self.languages)
        return {language: 1 / len(self.languages) for language in self.languages}

    @property
    def label(self) -> str:
        """What the trained table is called: the dataset, and what was made of it."""
        made: list[str] = [self.objective.name] if self.objective else []
        made += ["translated"] if self.translated else []
        return ".".join([self.dataset, *made])

    @property
    def head_name(self) -> str:
        """Name of the task and of its head."""
        return self.task or (self.objective.name if self.objective else self.dataset)

    @model_validator(mode="after")
    def _sums_to_one(self) -> Component:
        if not self.languages:
            raise ValueError("languages is empty")
        if not isinstance(self.languages, Mapping) and len(set(self.languages)) != len(self.languages):
            raise ValueError("a language is listed twice")
        total = sum(self.shares().values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the language shares sum to {total:g}, not to 1")
        if self.sampling is not None and isinstance(self.languages, Mapping):
            raise ValueError("state the languages' shares or `sampling`, not both")
        if self.translated is not None and ENGLISH in self.shares():
            raise ValueError("English data are not translated into English: make it a component of its own")
        if self.translated is not None and self.objective is not None:
            raise ValueError("give `translated` or `objective`, not both")
        return self


class Step(Section):
    """One run of training on a mixture.

    Attributes:
        mixture: the datasets.
        budget: how much is trained.
        control: `shuffled_labels` permutes the labels within each table and changes nothing else.
        items: whether an item may come in several languages: in none but one, in each, or as it falls.
        sampling: divides the budget among the tasks by their sizes, in place of stated shares.
        repeat: allows a budget beyond the data.
        keep_heads: goes on with heads of the same kind and labels.
        recipe: overrides the study's `recipe.intermediate`.
    """

    mixture: tuple[Component, ...] = ()
    budget: Budget | None = None
    control: Literal["shuffled_labels"] | None = None
    items: Literal["disjoint", "parallel", "independent"] = "disjoint"
    sampling: SizeSampling | None = None
    repeat: bool = False
    keep_heads: bool = False
    recipe: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Step:
        if self.mixture and self.budget is None:
            raise ValueError("a condition that trains needs a budget, the same as those it is compared with")
        if not self.mixture and (self.budget or self.control or self.sampling):
            raise ValueError("a condition without a mixture trains nothing: it has no budget, sampling or control")
        if not self.mixture and (self.recipe or self.repeat or self.keep_heads):
            raise ValueError("a condition without a mixture trains nothing: it has no recipe, repeat or keep_heads")
        labels = [
            (component.head_name, component.label, code) for component in self.mixture for code in component.shares()
        ]
        if len(set(labels)) != len(labels):
            raise ValueError("the mixture names the same table twice")
        if self.sampling is not None:
            if any("share" in component.model_fields_set for component in self.mixture):
                raise ValueError("state the shares of the mixture or `sampling`, not both")
            return self
        total = sum(component.share for component in self.mixture)
        if self.mixture and abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the mixture sum to {total:g}, not to 1")
        return self


class Supervision(Section):
    """What target tasks are trained on besides their data in the source language.

    Attributes:
        examples: language -> how many of its examples are added (few-shot).
        languages: languages in which the training data are added whole, in as many examples as the source language's
            (translate-train): the task's own, or a released translation.
        translated: makes the data of `languages` from the English ones.
    """

    examples: Mapping[str, Positive] = Field(default_factory=dict)
    languages: tuple[str, ...] = ()
    translated: Translation | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Supervision:
        if not self.examples and not self.languages:
            raise ValueError("names nothing to train on: give `examples` or `languages`")
        if len({*self.examples, *self.languages}) != len(self.examples) + len(self.languages):
            raise ValueError("a language is named twice")
        if self.translated is not None and (not self.languages or ENGLISH in self.languages):
            raise ValueError("`translated` makes English data in the other `languages`: name them")
        return self


class Condition(Step):
    """One recipe of intermediate training; no mixture means none at all.

    Attributes:
        description: in a few words, for the report.
        then: what follows the mixture, a step at a time; a step has the keys of a condition's first step.
        keep_head: target tasks that go on with the head of the last step.
        source_language: the language of target training, the study's where it is not given.
        source_translated: makes its data from the English ones.
        target: few examples, or all data, of further languages in target training.
        test_translated: translates the tests into the source language (translate-test).
    """

    description: str = ""
    then: tuple[Step, ...] = ()
    keep_head: tuple[str, ...] = ()
    source_language: str | None = None
    source_translated: Translation | None = None
    target: Supervision | None = None
    test_translated: Translation | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in order; none for a condition that trains nothing."""
        return (self, *self.then) if self.mixture else ()

    @model_validator(mode="after")
    def _has_steps(self) -> Condition:
        if not self.mixture and (self.then or self.keep_head):
            raise ValueError("a condition without a mixture trains nothing: nothing follows it and no head is kept")
        if self.test_translated is not None and self.test_translated.rows is not None:
            raise ValueError("test_translated: a test is translated whole: no `rows`")
        if not all(step.mixture for step in self.then):
            raise ValueError("then: a step needs a mixture")
        return self
