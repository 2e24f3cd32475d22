"""What Great Expectations gets to see of a table: a bounded number of values at a time, and all of them.

Rules are put to stretches of rows, uniqueness to shares of the values in which equal ones are together.
`engine.combined` makes one verdict of the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from xtreme_dag.contracts.columns import BATCH, Facts, Rows, batches, flat, values_at
from xtreme_dag.contracts.engine import Verdict, apart, combined, evaluate, no_rows, strict
from xtreme_dag.contracts.measures import measure
from xtreme_dag.contracts.odcs import Rule
from xtreme_dag.contracts.whole import Test, Whole

ROWS = 4 * BATCH  # rows of a stretch; only the columns that rules name are held of them
VALUES = 1 << 19  # values of a share
MEASURE = "measure."
UNIQUE = "expect_column_values_to_be_unique"


@dataclass(frozen=True, kw_only=True)
class Question:
    """Some rules and what they are put to.

    Attributes:
        rules: each without its tolerated share.
        frame: pandas.
        rows: row of the table of each row of the frame.
        whole: the frame has all rows of the table.
        broken: rule -> why it cannot be put; such a rule is not among the others.
    """

    rules: Sequence[Rule]
    frame: Any
    rows: Rows
    whole: bool
    broken: Mapping[str, str] = field(default_factory=dict)

    def like(self, other: Question) -> bool:
        """Whether the same is asked of the same columns, in whole tables that have rows."""
        same_rules = list(self.rules) == list(other.rules)
        same_columns = list(self.frame.columns) == list(other.frame.columns)
        return self.whole and other.whole and same_rules and same_columns and min(len(self.rows), len(other.rows)) > 0


def verdicts_of_many(many: Sequence[tuple[Whole, Sequence[Rule], Facts]]) -> list[list[Verdict]]:
    """How each rule comes out on each table, in the order of its rules.

    Small neighbours under the same rules are put to Great Expectations together: a question costs more than they do.
    Memory is the same whatever the size of a stored table, but for eight bytes a violation.

    Args:
        many: tables, each with its rules and what is known about it.
    """
    parts: list[dict[str, list[Verdict]]] = [{rule.name: [] for rule in rules} for _, rules, _ in many]
    for together in _alike((number, question) for number, one in enumerate(many) for question in _questions(*one)):
        for (number, question), answers in zip(together, _answers(together), strict=True):
            for name, error in question.broken.items():
                parts[number][name].append(Verdict(rule=name, ok=False, error=error))
            for answer in answers:
                parts[number][answer.rule].append(answer.placed(question.rows))
    return [
        [combined(rule, of_table[rule.name]) for rule in rules]
        for (_, rules, _), of_table in zip(many, parts, strict=True)
    ]


Numbered = tuple[int, Question]  # of which table, and what is asked of it


def _alike(questions: Iterable[Numbered]) -> Iterator[list[Numbered]]:
    """Neighbouring questions that are alike, a stretch of rows in all; one that is not whole goes at once, by itself."""
    held: list[Numbered] = []
    for number, question in questions:
        rows = sum(len(one.rows) for _, one in held) + len(question.rows)
        if held and not (rows <= ROWS and question.like(held[-1][1])):
            yield held
            held = []
        held.append((number, question))
        if not question.whole:
            yield held
            held = []
    if held:
        yield held


def _answers(together: Sequence[Numbered]) -> list[list[Verdict]]:
    """What Great Expectations says to each question; to several, what it says to their frames one below the other."""
    questions = [question for _, question in together]
    found = _joint_answers(questions) if len(questions) > 1 and questions[0].rules else None
    return found or [
        evaluate(question.rules, question.frame, counted=not question.whole) if question.rules else []
        for question in questions
    ]


def _joint_answers(questions: Sequence[Question]) -> list[list[Verdict]] | None:
    """The answers to questions that are alike; None if there was an error, which may be that of one table alone."""
    import pandas as pd

    rules = questions[0].rules
    starts = np.cumsum([0, *(len(question.rows) for question in questions)]).tolist()
    shifted = []
    for question, start in zip(questions, starts, strict=False):
        frame = question.frame  # equal values have equal numbers in a table, and others in another one
        shifted.append(
            frame.assign(**{_column(r): frame[_column(r)] + start for r in rules if r.expectation == UNIQUE})
        )
    answers = evaluate(rules, pd.concat(shifted, ignore_index=True))
    if any(answer.error for answer in answers):
        return None
    return [
        [apart(rule, answer, question.frame, start) for rule, answer in zip(rules, answers, strict=True)]
        for question, start in zip(questions, starts, strict=False)
    ]


def whole_frame(table: pa.Table, rules: Sequence[Rule], known: Facts) -> tuple[list[Rule], Any]:
    """The rules that can be put, and all the columns that they name in one frame, which grows with the table.

    In a column that a rule wants unique, values are numbers: equal ones have equal numbers.
    """
    ((frame, broken),) = _frames(table, rules, _tests(table, rules, known), size=len(table))
    for rule in rules:
        if rule.expectation == UNIQUE and rule.name not in broken:
            column = rule.kwargs["column"]
            numbers = np.zeros(len(table), dtype=np.int64)
            for rows, codes in _shares(table, column):
                numbers[rows] = codes
            frame[column] = numbers
    return [rule for rule in rules if rule.name not in broken], frame


def _questions(table: Whole, rules: Sequence[Rule], known: Facts) -> Iterator[Question]:
    import pandas as pd

    strictly = [strict(rule) for rule in rules]
    unique = [rule for rule in strictly if rule.expectation == UNIQUE and _column(rule) in table.column_names]
    others = [rule for rule in strictly if rule not in unique]
    apart = {_column(rule) for rule in unique}.isdisjoint(map(_column, others))
    at_once = unique if apart and len(table) <= min(ROWS, VALUES) else []  # a question costs more than a small table
    for column, group in groupby(sorted(unique, key=_column), key=_column) if not at_once else ():
        asked = list(group)
        for rows, codes in _shares(table, column):
            whole = len(rows) == len(table)
            yield Question(rules=asked, frame=pd.DataFrame({column: codes}), rows=rows, whole=whole)
    tests = _tests(table, others, known)
    start = 0
    for frame, broken in _frames(table, others, tests, size=ROWS) if others or at_once else ():
        for column in {_column(rule) for rule in at_once}:
            ((_, frame[column]),) = _shares(table, column)
        asked = [rule for rule in strictly if rule in at_once or (rule in others and rule.name not in broken)]
        rows = np.arange(start, start + len(frame))
        yield Question(rules=asked, frame=frame, rows=rows, whole=len(frame) == len(table), broken=broken)
        start += len(frame)


def _column(rule: Rule) -> str:
    return str(rule.kwargs.get("column", ""))


def _tests(table: Whole, rules: Sequence[Rule], known: Facts) -> dict[str, Test | str]:
    """Column of the rules that is a measure -> what judges rows, or why nothing can."""
    tests: dict[str, Test | str] = {}
    for name in dict.fromkeys(map(_column, rules)):
        if name.startswith(MEASURE):
            try:
                tests[name] = measure(name.removeprefix(MEASURE), table, known)
            except Exception as error:  # an error inside a check is reported as such, it is not a pass
                tests[name] = f"{type(error).__name__}: {error}"
    return tests


def _frames(
    table: Whole, rules: Sequence[Rule], tests: Mapping[str, Test | str], size: int
) -> Iterator[tuple[Any, dict[str, str]]]:
    """The columns that the rules name, as pandas, in stretches of about `size` rows; of an empty table there is one.

    Texts are categories. A column that the table does not have is left to Great Expectations to complain about. Beside
    each frame: the rules whose measure failed in it, with the reason.
    """
    names = [name for name in dict.fromkeys(map(_column, rules)) if name in tests or name in table.column_names]
    pieces: dict[str, list[pa.Array]] = {name: [] for name in names}
    wrong: dict[str, str] = {}
    held, left = 0, len(table)
    for batch in batches(table) if len(table) else (table.schema.empty_table(),):
        for name in names:
            test = tests.get(name)
            if isinstance(test, str):
                wrong[name] = test
                continue
            try:
                pieces[name].append(flat(batch, name) if test is None else test(batch))
            except Exception as error:  # as in `_tests`
                wrong[name] = f"{type(error).__name__}: {error}"
        held += len(batch)
        left -= len(batch)
        if held >= size or left == 0:
            broken = {rule.name: wrong[_column(rule)] for rule in rules if _column(rule) in wrong}
            yield _framed({name: arrays for name, arrays in pieces.items() if name not in wrong}, held), broken
            pieces, wrong, held = {name: [] for name in names}, {}, 0


def _framed(pieces: Mapping[str, Sequence[pa.Array]], rows: int) -> Any:
    """Columns in pieces as pandas; without columns, an index of as many rows."""
    import pandas as pd

    columns = {name: pa.chunked_array(arrays) for name, arrays in pieces.items()}
    texts = {name: column.dictionary_encode() for name, column in columns.items() if pa.types.is_string(column.type)}
    return pa.table({**columns, **texts}).to_pandas() if columns else pd.DataFrame(index=pd.RangeIndex(rows))


def _shares(table: Whole, column: str) -> Iterator[tuple[Rows, Rows]]:
    """Shares of a column that hold equal values together: rows, and for each the first row with its value.

    A share is what falls on one of as many numbers as shares by its hash; each takes a look at the whole column, so
    that no more than a share is held. What is of one hash is compared.
    """
    count = max(1, -(-len(table) // VALUES))
    for number in range(count):
        rows, hashes = _share(table, column, number, count)
        order = np.argsort(hashes, kind="stable")
        ranked = hashes[order]
        equal = ranked[1:] == ranked[:-1]
        alike = np.unique(np.concatenate([order[1:][equal], order[:-1][equal]]))
        codes = rows.copy()
        first: dict[Any, int] = {}
        for place, value in zip(alike.tolist(), values_at(table, column, rows[alike]), strict=True):
            codes[place] = first.setdefault(value, int(rows[place]))
        yield rows, codes


def _share(table: Whole, column: str, number: int, count: int) -> tuple[Rows, Rows]:
    """Rows of the values that fall on a number out of some by their hash, ascending, and their hashes."""
    rows, found = [no_rows()], [no_rows()]
    start = 0
    for batch in batches(table, [column]):
        hashes = np.fromiter(map(hash, batch[column].to_pylist()), np.int64, len(batch))
        hit = np.flatnonzero(hashes % count == number)
        rows.append(hit + start)
        found.append(hashes[hit])
        start += len(batch)
    return np.concatenate(rows), np.concatenate(found)
