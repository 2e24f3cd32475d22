"""Sections of a study file that its conditions are made of: budgets, models, translations, objectives."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

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
