"""The declaration of a format: its table, and its prediction and label files in the XTREME folder layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from xtreme_dag.scoring.columns import FloatArray


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The rows of one task in one language of a submission, with their sufficient statistics.

    Attributes:
        ids: unique ids: those of the files, or line (sentence) numbers from 0.
        gold: the right outcome as text; several ids or tags with blanks between them, several answers as JSON.
        predictions: the predicted outcome as text, written likewise; None where there is none.
        statistics: sufficient statistics, `s_*`, each (rows,).
        warnings: what evaluate.py passes over in silence.
    """

    ids: Sequence[str]
    gold: Sequence[str]
    predictions: Sequence[str | None]
    statistics: Mapping[str, FloatArray]
    warnings: Sequence[str] = field(default_factory=tuple)


Columns = Mapping[str, list[Any]]
"""Column -> the values of some rows."""

Judge = Callable[[Path, Path, str], Judged]
"""Label file, prediction file and language -> rows. What makes evaluate.py fail is a `UserError`."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A format in the XTREME folder layout, `<task>/test-<language>.<suffix>`.

    Attributes:
        suffix: of its files.
        family: the metrics (`scoring.combine.FAMILIES`).
        predictions: the text of a prediction file, from rows of `predictions.parquet` and the asking rows of the
            canonical table, both in the same order.
        gold: the text of a label file, from the asking rows; raises `layout.Unlabelled` where a label is missing.
        judge: reads a label file and a prediction file.
        judges: task -> its own judge, where evaluate.py has other rules for one task.
        identify: judged rows under the ids of the asking rows; None where the files hold ids.
    """

    suffix: str
    family: str
    predictions: Callable[[Columns, Columns], str]
    gold: Callable[[Columns], str]
    judge: Judge
    judges: Mapping[str, Judge] = field(default_factory=dict)
    identify: Callable[[Judged, Sequence[str]], Judged] | None = None


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The two sides of a retrieval table, named in its column `side`.

    Attributes:
        asking: the rows that are the examples.
        found: the rows that are searched.
        one_language: both sides are in the language of the table, not the asking one alone.
        always_gold: every asking row has gold; False where most have none (distractors).
        pooled: the rows of all languages are searched together before the evaluations (`evaluation.pooled`).
        alike: both sides hold texts of one kind; else the asking ones are queries, cut at the encoder's `query_length`.
    """

    asking: str
    found: str
    one_language: bool = False
    always_gold: bool = True
    pooled: bool = False
    alike: bool = False


@dataclass(frozen=True, kw_only=True)
class Translation:
    """How a table is translated.

    Attributes:
        texts: the columns to translate: texts, or lists of texts of which each is translated on its own.
        follows: what must be carried over besides: nothing, the tags of `words`, or the places of `answers`.
    """

    texts: tuple[str, ...]
    follows: Literal["", "words", "answers"] = ""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of canonical tables; everything that distinguishes it from the others.

    Attributes:
        name: unique; entries of the catalogue name it.
        columns: what a reader must yield besides `id`, `language` and `split`: column -> type. Types are `string`,
            `int32`, `bool`, `list<string>`, `words` (a list of the words of one text) and `list<answer>` (text and
            start in code points).
        texts: columns that training without labels reads; gold labels and answers are left out.
        shown: the column that shows the language of a row; of a list of texts the first.
        compared: columns that show whether two languages have the same texts; `texts` by default.
        read: columns that are all that a model reads of an example; `compared` by default.
        label: the column of labels or tags, which a dataset's label set must hold.
        choices: the list column of which `label` is a position, from 0.
        shared: columns that are equal in every translation of an item, which contracts compare.
        counted: entry of `counts.json` -> the column whose values (for `words`: whose number of words) it counts.
        cluster: the column of what rows hang together in (a dialogue, a paragraph): `compare` resamples it as a whole.
        cluster_if_asked: only where the study or the user asks for it; and a limit on rows takes rows, not wholes.
        sides: of a retrieval table.
        side_text: (side, text, context) of a row -> what is encoded of it; None where that is its `text`.
        against_english: the table pairs a language with English, so that there is no English table.
        parallel: a row holds the same text in two languages.
        translation: how the table is translated; None where it cannot be.
        generator: what makes such rows in the miniworld (`miniworld.source.GENERATORS`); empty for nothing.
        generated: at most so many rows are generated; None for no limit.
        layout: in the XTREME folder layout; None for formats that are never evaluated.
    """

    name: str
    columns: Mapping[str, str]
    texts: tuple[str, ...]
    shown: str
    compared: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    label: str = ""
    choices: str = ""
    shared: tuple[str, ...] = ()
    counted: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""
    cluster_if_asked: bool = False
    sides: Sides | None = None
    side_text: Callable[[str, str, str | None], str] | None = None
    against_english: bool = False
    parallel: bool = False
    translation: Translation | None = None
    generator: str = ""
    generated: int | None = None
    layout: Layout | None = None

    @property
    def encode_code(self) -> tuple[str, ...]:
        """What the `encode` stage runs of this format, for `Stage.code`."""
        return (f"{self.side_text.__module__}:{self.side_text.__qualname__}",) if self.side_text else ()

    def facts(self, *fields: str) -> dict[str, Any]:
        """Some fields as plain values: parameters of a stage that looks the format up by its name."""
        return {name: json.loads(json.dumps(getattr(self, name), default=asdict)) for name in fields}
