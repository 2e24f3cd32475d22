"""The conditions of a study file: what is trained on before the target task, how much of it, and in what order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from xtreme_dag.core.english import ENGLISH
from xtreme_dag.study.sections import NAME, Budget, Objective, Positive, Section, Share, SizeSampling, Translation


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
