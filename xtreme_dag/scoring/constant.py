"""What one answer to everything would get: the level above which a model has learnt something of a task.

A constant answer looks at no input. It is the most frequent gold outcome of the examples themselves, so no other
constant is right more often. The table is not part of the families, so that a change here re-runs no evaluation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from xtreme_dag.core.dialogue import informed
from xtreme_dag.scoring import accuracy, dialogue, squad_v2, tagging
from xtreme_dag.scoring.columns import Columns

Value = TypeVar("Value")


def most_frequent(values: Iterable[Value]) -> Value:
    """The most frequent of some values, the first of those that are equally frequent."""
    return Counter(values).most_common(1)[0][0]


def _labels(gold: Sequence[str]) -> Columns:
    """The most frequent label for every example."""
    return accuracy.statistics(gold, [most_frequent(gold)] * len(gold))


def _tags(gold: Sequence[str]) -> Columns:
    """The most frequent tag for every word."""
    sentences = [[tag for tag in tags.split(" ") if tag] for tags in gold]
    tag = most_frequent(tag for tags in (*sentences, ["O"]) for tag in tags)  # O, should no sentence have a word
    return tagging.statistics(sentences, [[tag] * len(tags) for tags in sentences])


def _turns(gold: Sequence[str]) -> Columns:
    """The most frequent labels for every turn, and the most frequent state after it."""
    read = [json.loads(text) for text in gold]
    turns, states = [one["turn"] for one in read], [informed(one["state"]) for one in read]
    turn, state = most_frequent(map(tuple, turns)), dict(most_frequent(tuple(one.items()) for one in states))
    return dialogue.statistics(turns, [turn] * len(read), states, [state] * len(read))


def _unanswered(gold: Sequence[str]) -> Columns:
    """No answer to any question: right where there is none."""
    return squad_v2.statistics([json.loads(answers) for answers in gold], [""] * len(gold))


CONSTANT: Mapping[str, Callable[[Sequence[str]], Columns]] = {
    "accuracy": _labels,
    "tagging": _tags,
    "dialogue": _turns,
    "answers_v2": _unanswered,
}
"""Family -> statistics (examples,) of its constant answer, from gold outcomes as `predictions.parquet` has them.

A family that is not here (answers that are spans of text, rankings, mined pairs) has no frequent outcome: there the
constant answer is none at all, which gets 0."""
