"""The settings of a pretrained encoder that a study makes itself: a planted one, or one trained on text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from xtreme_dag.catalogue.miniworld_languages import CODES
from xtreme_dag.study.recipe_settings import SPECIAL_TOKENS
from xtreme_dag.study.settings import Settings, within
from xtreme_dag.study.train_recipe import Count, Positive, Share, Whole

# Of a tokenizer that is made: those of XLM-R and the mask.
_SPECIALS = 5
_Part = Annotated[float, within(lambda value: 0 <= value <= 1, "between 0 and 1")]


def _are_kinships(value: Mapping[str, float]) -> bool:
    return all(code in CODES and 0 <= kinship <= 1 for code, kinship in value.items())


class _Encoder(Settings):
    """What every shape of an encoder has.

    Attributes:
        layers: transformer layers.
        hidden_size: width of a hidden state.
        heads: attention heads per layer.
    """

    layers: Whole = 2
    hidden_size: Whole = 128
    heads: Whole = 4

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}")
        return self


class Planting(_Encoder):
    """What makes one planted model.

    Attributes:
        seed: of the alignment, the initial weights, the text and its order.
        steps: optimizer steps of masked language modelling.
        batch_size: sentences to a step.
        learning_rate: its peak.
        masked: the share of tokens that are predicted.
        sentences: generated for each language.
        switched: the share of them in which half of the words are of other languages.
        opposites: words of their own (`words`), or in all languages but English the other word with a mark (`marked`).
        kinship: language -> kinship to English, for languages that have another one than in the miniworld.
    """

    seed: Count = 1
    steps: Whole = 150
    batch_size: Whole = 64
    learning_rate: Positive = 5e-4
    masked: Share = 0.25
    sentences: Whole = 1000
    switched: _Part = 0.5
    opposites: Literal["words", "marked"] = "words"
    kinship: Annotated[
        Mapping[str, float], within(_are_kinships, "a kinship from 0 to 1 for languages of the miniworld")
    ] = {}


class EncoderShape(_Encoder):
    """The shape of an XLM-R-like encoder.

    Attributes:
        intermediate_size: width of the feed-forward layers.
        max_positions: longest sequence, in tokens.
        dropout: of hidden states and attention.
    """

    intermediate_size: Whole = 512
    max_positions: Whole = 512
    dropout: _Part = 0.1


class TextPretraining(Settings):
    """What makes an encoder of random weights and text.

    Attributes:
        seed: of the initial weights and the order.
        vocabulary_size: tokens of the tokenizer that is made from the text.
        model: fields of `EncoderShape`.
        max_length: tokens of a sequence at most; by default `max_positions`.
        limit: lines per table at most.
        recipe: of the training, as `TrainRecipe`.
        columns: name -> columns with the texts of a table that has no column `text`; the wiring's, not a user's.
    """

    seed: Count
    vocabulary_size: Annotated[
        Whole, within(lambda value: value > _SPECIALS, f"more than its {_SPECIALS} special tokens")
    ]
    model: EncoderShape = EncoderShape()
    max_length: Whole | None = None
    limit: Whole | None = None
    recipe: Mapping[str, Any]
    columns: Annotated[Mapping[str, Any], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _length_fits(self) -> Self:
        longest = self.model.max_positions if self.max_length is None else self.max_length
        if not SPECIAL_TOKENS < longest <= self.model.max_positions:
            most = self.model.max_positions
            raise ValueError(f"a max_length of {longest} is not above {SPECIAL_TOKENS} and within {most} positions")
        return self
